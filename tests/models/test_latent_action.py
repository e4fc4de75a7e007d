"""The latent action model: who knows what, what is frozen, and that the ego's codes carry its motion."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

import pytest
import torch

from latentvla_agent.data.scene import MOTION_SIZE
from latentvla_agent.errors import ConfigError
from latentvla_agent.models.latent_action import LatentActionModel
from latentvla_agent.models.latent_action_config import StreetConfig, TinyLatentActionConfig
from latentvla_agent.models.latent_tokens import ActionVocabulary
from latentvla_agent.models.quantiser import Quantiser, QuantiserConfig
from tests.models.streets import make_projections, paint_streets

EGO = TinyLatentActionConfig(
    feature_size=6,
    grid=(4, 8),
    pool=2,
    patch=1,
    width=16,
    num_heads=2,
    encoder_depth=2,
    decoder_depth=2,
    vocabulary=ActionVocabulary(codes_per_transition=2, num_codes=4),
    quantiser=QuantiserConfig(size=8),
)
ENVIRONMENT = replace(EGO, step="environment")
BATCH, FRAMES = 8, 4


def make_model(config: TinyLatentActionConfig) -> LatentActionModel:
    torch.manual_seed(0)
    return LatentActionModel(config)


def make_frames(batch: int = BATCH) -> Tuple[torch.Tensor, torch.Tensor]:
    """Features and motion."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(batch, FRAMES, 4 * 8, EGO.feature_size, generator=generator)
    return features, torch.randn(batch, FRAMES - 1, MOTION_SIZE, generator=generator)


def test_shapes() -> None:
    features, motion = make_frames()
    for config, given, kinds in ((ENVIRONMENT, motion, 1), (EGO, None, 2)):
        found = make_model(config)(features, make_projections(BATCH), given)
        assert found.predicted.shape == found.target.shape == found.before.shape == (BATCH, FRAMES - 1, 8, 6)
        assert list(found.latents) == ["environment", "ego"][:kinds]
        for latent in found.latents.values():
            assert latent.codes.shape == (BATCH, FRAMES - 1, 2) and latent.vectors.shape == (BATCH, FRAMES - 1, 2, 8)
            assert 0 <= int(latent.codes.min()) and int(latent.codes.max()) < 4


def test_motion_belongs_to_the_first_step_alone() -> None:
    features, motion = make_frames()
    with pytest.raises(ConfigError, match="step environment: motion must be given"):
        make_model(ENVIRONMENT)(features, make_projections(BATCH))
    with pytest.raises(ConfigError, match="step ego: motion must not be given"):
        make_model(EGO)(features, make_projections(BATCH), motion)


def test_untrained_it_predicts_that_nothing_but_the_ego_moves() -> None:
    features, motion = make_frames()
    model = make_model(ENVIRONMENT).eval()
    model.set_statistics(features, motion)
    torch.testing.assert_close(model.decoder.motion_mean, motion[..., :3].mean(dim=(0, 1)))
    still = model(features, make_projections(BATCH), torch.zeros_like(motion))
    torch.testing.assert_close(still.predicted, still.before, atol=1e-3, rtol=0.0)
    torch.testing.assert_close(still.target.mean(), torch.tensor(0.0), atol=0.1, rtol=0.0)
    maps = model.normalise(features)
    moved = model(features, make_projections(BATCH), motion).predicted[:, 1]
    warped = model.decoder.warp(maps[:, 1], motion[:, 1, :3], make_projections(BATCH))
    torch.testing.assert_close(moved, model.decoder.pool(warped).flatten(2).transpose(1, 2))


def test_what_is_predicted_are_means_of_cells() -> None:
    features, _ = make_frames()
    found = make_model(EGO)(features, make_projections(BATCH))
    maps = features.unflatten(2, (4, 8))
    torch.testing.assert_close(found.target[:, :, 5], maps[:, 1:, 2:4, 2:4].mean(dim=(2, 3)))
    torch.testing.assert_close(found.before[:, :, 0], maps[:, :-1, :2, :2].mean(dim=(2, 3)))


def test_half_precision_leaves_geometry_and_codes_alone() -> None:
    (features, _), projections = make_frames(32), make_projections(32)
    model = make_model(EGO).train()
    model(features, projections)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        halved = model(features, projections)
    assert all(latent.vectors.dtype == torch.float32 for latent in halved.latents.values())
    motion = torch.tensor([[3.0, 0.1, 0.02]]).expand(32, -1)
    maps = model.normalise(features)[:, 0]
    moved = model.decoder.warp(maps, motion, projections)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.decoder.warp(maps, motion, projections), moved)
    (halved.predicted.float() - halved.target).square().mean().backward()


def test_grids_that_do_not_make_whole_tokens_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"whole tokens of 4 x 4 cells \(pool times patch\), got \(4, 6\)"):
        replace(EGO, grid=(4, 6), patch=2)


def test_foreign_codes_are_those_of_the_next_window() -> None:
    features, _ = make_frames()
    model = make_model(EGO).eval()
    torch.nn.init.normal_(model.decoder.output.weight, std=0.1)
    model.train()(features, make_projections(BATCH))
    model.eval()
    own = model(features, make_projections(BATCH))
    foreign = model.predict_foreign(features, own.latents, "ego", make_projections(BATCH))
    vectors = {kind: latent.vectors.roll(int(kind == "ego"), dims=0) for kind, latent in own.latents.items()}
    expected = model._decode(model.normalise(features)[:, :-1], vectors, make_projections(BATCH), None)
    torch.testing.assert_close(foreign, expected)
    assert not torch.allclose(foreign, own.predicted)


def test_the_past_does_not_know_the_future() -> None:
    model, (features, _) = make_model(EGO).eval(), make_frames()
    changed = features.clone()
    changed[:, 3] += 3.0 * torch.randn(4 * 8, EGO.feature_size)

    def read(own: torch.Tensor) -> torch.Tensor:
        maps = model.normalise(own)
        tokens: torch.Tensor = model.encoder(maps, model.try_motions(maps, make_projections(BATCH)), None)["ego"]
        return tokens

    before, after = read(features), read(changed)
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert (before[:, 2] - after[:, 2]).abs().max() > 1e-3


def test_the_second_step_starts_from_the_first_and_keeps_its_codebook() -> None:
    features, motion = make_frames(64)
    environment, ego = make_model(ENVIRONMENT).train(), make_model(EGO).train()
    environment(features, make_projections(64), motion)
    torch.nn.init.normal_(environment.encoder.input.weight)
    ego.start_from(environment)
    book = ego.quantisers["environment"].codebook.codebook.clone()
    assert torch.equal(book, environment.quantisers["environment"].codebook.codebook)
    assert torch.equal(ego.decoder.input.weight, environment.decoder.input.weight)
    assert not torch.equal(ego.encoder.input.weight, environment.encoder.input.weight)
    ego(features, make_projections(64))
    own = ego.quantisers["ego"].codebook.codebook.clone()
    optimizer = torch.optim.Adam(ego.parameters(), lr=1e-2)
    for _ in range(3):
        found = ego(features, make_projections(64))
        loss = (found.predicted - found.target).square().mean() + sum(one.loss for one in found.latents.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(ego.quantisers["environment"].codebook.codebook, book)
    assert not torch.equal(ego.quantisers["ego"].codebook.codebook, own)
    assert ego.encoder.queries["environment"].grad is not None, "what leads to a frozen codebook still learns"


def test_dead_codes_are_revived_where_the_codebook_trains() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(64, 3, 16)
    for frozen in (False, True):
        quantiser = Quantiser(16, 3, 4, QuantiserConfig(size=8)).train()
        quantiser(tokens)
        with torch.no_grad():
            quantiser.codebook._codebook.embed[0, 3] = 1000.0  # nothing is near
            quantiser.codebook._codebook.cluster_size[0, 3] = 0.0
        if frozen:
            quantiser.freeze()
        quantiser(tokens)
        assert bool((quantiser.codebook.codebook[3] == 1000.0).all()) == frozen
        quantiser.eval()
        before = quantiser.codebook.codebook.clone()
        quantiser(tokens)
        assert torch.equal(quantiser.codebook.codebook, before)


def test_codes_are_those_of_the_nearest_vectors() -> None:
    torch.manual_seed(0)
    quantiser, tokens = Quantiser(16, 3, 4, QuantiserConfig(size=8)).eval(), torch.randn(5, 3, 16)
    quantiser(tokens)
    found = quantiser(tokens)
    book = quantiser.codebook.codebook
    expected = torch.cdist(quantiser.input(tokens).flatten(0, 1), book).argmin(dim=-1).reshape(5, 3)
    assert torch.equal(found.codes, expected) and found.loss == 0.0
    torch.testing.assert_close(found.vectors, book[expected])


@pytest.mark.slow
def test_ego_codes_carry_the_motion_that_nobody_told() -> None:
    """A street that the ego drives along at some speed, and light that comes and goes: the codes tell the speed."""
    torch.manual_seed(0)
    small = {"width": 32, "quantiser": QuantiserConfig(size=2)}
    street = replace(EGO, feature_size=7, grid=(8, 12), street=StreetConfig(wall=1000.0), **small)

    def make_batch() -> Tuple[torch.Tensor, torch.Tensor]:
        speed, phases = 8.0 * torch.rand(64, 1), 6.0 * torch.rand(64, 6)
        poses = (speed * torch.arange(FRAMES))[..., None] * torch.tensor([1.0, 0.0, 0.0])
        seen = [paint_streets(pose, phases, 8, 12) for pose in poses.unbind(dim=1)]
        light = torch.randint(0, 2, (64, FRAMES, 1, 1, 1)).float().expand(-1, -1, -1, 8, 12)
        motion = torch.zeros(64, FRAMES - 1, MOTION_SIZE)
        motion[..., 0] = speed
        return torch.cat([torch.stack(seen, dim=1), light], dim=2).flatten(3).transpose(2, 3), motion

    environment = LatentActionModel(replace(street, step="environment")).train()
    environment.set_statistics(*make_batch())
    ego = LatentActionModel(street).train()
    for model in (environment, ego):
        if model is ego:
            ego.start_from(environment)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(200):
            features, motion = make_batch()
            found = model(features, make_projections(64), motion if model is environment else None)
            loss = (found.predicted - found.target).square().mean() + sum(one.loss for one in found.latents.values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    ego.eval()
    features, motion = make_batch()
    found = ego(features, make_projections(64))
    foreign = ego.predict_foreign(features, found.latents, "ego", make_projections(64))
    copied, own, other = ((guess - found.target).square().mean() for guess in (found.before, found.predicted, foreign))
    assert own < 0.2 * copied and other > 3.0 * own
    explained = {}
    for kind, latent in found.latents.items():
        vectors = latent.vectors.flatten(2).flatten(0, 1).detach()
        design = torch.cat([vectors, torch.ones(len(vectors), 1)], dim=1)
        speed = motion[..., 0].flatten()
        fitted = design @ torch.linalg.lstsq(design, speed[:, None], driver="gelsd").solution
        explained[kind] = float(1.0 - (fitted[:, 0] - speed).square().mean() / speed.var())
    assert explained["ego"] > 0.7 and explained["environment"] < explained["ego"] - 0.4


def test_vectors_that_hardly_differ_are_whitened_before_they_are_quantised() -> None:
    torch.manual_seed(0)
    quantise = Quantiser(16, 2, 4, QuantiserConfig(size=2)).train()
    tokens = 5.0 + 1e-3 * torch.randn(256, 2, 16) * torch.linspace(0.3, 3.0, 16)
    tokens[:, 1] += 0.7 * tokens[:, 0]  # slots that say nearly the same

    def whiten() -> torch.Tensor:
        white: torch.Tensor = quantise.whiten(quantise.input(tokens).flatten(1))
        return white.detach()

    white = whiten()
    torch.testing.assert_close(white.mean(dim=0), torch.zeros(4), atol=1e-3, rtol=0.0)
    torch.testing.assert_close(white.T @ white / len(white), torch.eye(4), atol=0.15, rtol=0.0)
    for _ in range(200):
        vectors = quantise(tokens).vectors
    assert vectors.flatten(0, 1).std(dim=0).norm() > 0.5, "codes are apart"
    before = quantise.whiten.mean.clone(), quantise.whiten.covariance.clone()
    quantise.freeze()
    quantise.train()(tokens + 1.0)
    assert torch.equal(quantise.whiten.mean, before[0]) and torch.equal(quantise.whiten.covariance, before[1])
    quantise.eval()
    torch.testing.assert_close(whiten(), white, atol=0.2, rtol=0.2)
