"""The latent action model: who knows what, what is frozen, and that the ego's codes carry its motion."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

import pytest
import torch

from latentvla_agent.data.scene import MOTION_SIZE
from latentvla_agent.errors import ConfigError
from latentvla_agent.models.latent_action import LatentActionModel, TinyLatentActionConfig
from latentvla_agent.models.latent_tokens import ActionVocabulary
from latentvla_agent.models.quantiser import Quantiser, QuantiserConfig

EGO = TinyLatentActionConfig(
    feature_size=6,
    num_tokens=5,
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
    features = torch.randn(batch, FRAMES, EGO.num_tokens, EGO.feature_size, generator=generator)
    return features, torch.randn(batch, FRAMES - 1, MOTION_SIZE, generator=generator)


def test_shapes() -> None:
    features, motion = make_frames()
    for config, given, kinds in ((ENVIRONMENT, motion, 1), (EGO, None, 2)):
        found = make_model(config)(features, given)
        assert found.predicted.shape == found.target.shape == (BATCH, FRAMES - 1, 5, 6)
        assert list(found.latents) == ["environment", "ego"][:kinds]
        for latent in found.latents.values():
            assert latent.codes.shape == (BATCH, FRAMES - 1, 2) and latent.vectors.shape == (BATCH, FRAMES - 1, 2, 8)
            assert 0 <= int(latent.codes.min()) and int(latent.codes.max()) < 4


def test_motion_belongs_to_the_first_step_alone() -> None:
    features, motion = make_frames()
    with pytest.raises(ConfigError, match="step environment: motion must be given"):
        make_model(ENVIRONMENT)(features)
    with pytest.raises(ConfigError, match="step ego: motion must not be given"):
        make_model(EGO)(features, motion)


def test_untrained_it_predicts_that_nothing_changes() -> None:
    features, _ = make_frames()
    model = make_model(EGO).eval()
    model.set_statistics(features.mean(dim=(0, 1, 2)), features.std(dim=(0, 1, 2)))
    found = model(features)
    torch.testing.assert_close(found.predicted, model.normalise(features)[:, :-1])
    torch.testing.assert_close(found.target.mean(), torch.tensor(0.0), atol=0.1, rtol=0.0)


def test_the_past_does_not_know_the_future() -> None:
    model, (features, _) = make_model(EGO).eval(), make_frames()
    model(features)  # the codebooks begin somewhere
    changed = features.clone()
    changed[:, 3] += 3.0
    before, after = (model.encoder(model.normalise(own), None)["ego"] for own in (features, changed))
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert (before[:, 2] - after[:, 2]).abs().max() > 1e-3


def test_the_second_step_starts_from_the_first_and_keeps_its_codebook() -> None:
    features, motion = make_frames(64)
    environment, ego = make_model(ENVIRONMENT).train(), make_model(EGO).train()
    environment(features, motion)
    ego.start_from(environment)
    book = ego.quantisers["environment"].codebook.codebook.clone()
    assert torch.equal(book, environment.quantisers["environment"].codebook.codebook)
    assert torch.equal(ego.encoder.input.weight, environment.encoder.input.weight)
    ego(features)
    own = ego.quantisers["ego"].codebook.codebook.clone()
    optimizer = torch.optim.Adam(ego.parameters(), lr=1e-2)
    for _ in range(3):
        found = ego(features)
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
        quantiser = Quantiser(16, 4, QuantiserConfig(size=8)).train()
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
    quantiser, tokens = Quantiser(16, 4, QuantiserConfig(size=8)).eval(), torch.randn(5, 3, 16)
    quantiser(tokens)
    found = quantiser(tokens)
    book = quantiser.codebook.codebook
    expected = torch.cdist(quantiser.input(tokens).flatten(0, 1), book).argmin(dim=-1).reshape(5, 3)
    assert torch.equal(found.codes, expected) and found.loss == 0.0
    torch.testing.assert_close(found.vectors, book[expected])


@pytest.mark.slow
def test_ego_codes_carry_the_motion_that_nobody_told() -> None:
    """Frames that shift with the ego's speed, and brighten at random: the second step finds the shift."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(2)

    def make_batch() -> Tuple[torch.Tensor, torch.Tensor]:
        speed = torch.randint(0, 4, (64,), generator=generator)
        light = torch.randint(0, 2, (64, FRAMES - 1), generator=generator)
        scene = torch.randn(64, 1, EGO.num_tokens, EGO.feature_size, generator=generator)
        shift = speed[:, None].float() * torch.arange(FRAMES)
        features = scene.expand(-1, FRAMES, -1, -1).clone()
        features[..., 0] += shift[:, :, None]
        features[..., 1] += nn_pad(light.cumsum(dim=1).float())[:, :, None]
        motion = torch.zeros(64, FRAMES - 1, MOTION_SIZE)
        motion[..., 0] = speed[:, None].float()
        return features, motion

    def nn_pad(values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(values, (1, 0))

    environment, ego = make_model(ENVIRONMENT).train(), make_model(EGO).train()
    for model in (environment, ego):
        if model is ego:
            ego.start_from(environment)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(400):
            features, motion = make_batch()
            found = model(features, motion if model is environment else None)
            loss = (found.predicted - found.target).square().mean() + sum(one.loss for one in found.latents.values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    ego.eval()
    features, motion = make_batch()
    found = ego(features)
    copied = (ego.normalise(features)[:, :-1] - found.target).square().mean()
    assert (found.predicted - found.target).square().mean() < 0.3 * copied
    vectors = found.latents["ego"].vectors.flatten(2).flatten(0, 1).detach()
    design = torch.cat([vectors, torch.ones(len(vectors), 1)], dim=1)
    speed = motion[..., 0].flatten()
    fitted = design @ torch.linalg.lstsq(design, speed[:, None]).solution
    explained = 1.0 - (fitted[:, 0] - speed).square().mean() / speed.var()
    assert explained > 0.7


def test_vectors_that_hardly_differ_are_spread_before_they_are_quantised() -> None:
    torch.manual_seed(0)
    quantise = Quantiser(16, 4, QuantiserConfig(size=8)).train()
    tokens = 5.0 + 1e-3 * torch.randn(64, 16)
    spread = quantise.spread(quantise.input(tokens))
    assert (
        float(spread.square().mean()) == pytest.approx(1.0, abs=1e-3) and float(spread.mean(dim=0).abs().max()) < 1e-3
    )
    for _ in range(200):
        vectors = quantise(tokens).vectors
    assert vectors.std(dim=0).norm() > 0.5, "codes are apart"
    before = quantise.spread.mean.clone(), quantise.spread.square.clone()
    quantise.freeze()
    quantise.train()(tokens + 1.0)
    assert torch.equal(quantise.spread.mean, before[0]) and torch.equal(quantise.spread.square, before[1])
    quantise.eval()
    torch.testing.assert_close(quantise.spread(quantise.input(tokens)), spread, atol=0.2, rtol=0.2)
