"""iPad: shapes, what depends on what, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Tuple

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentvla_agent.models.ipad import IPad, place_box
from latentvla_agent.models.ipad_config import EgoBoxConfig, IPadConfig, TinyIPadConfig
from latentvla_agent.models.motion import MotionConfig, integrate_motion
from latentvla_agent.training.ipad_loss import IPadLossConfig, ipad_loss
from tests.models.fixed_weights import fix_weights

BATCH = 2
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "ipad.safetensors"
SMALL = TinyIPadConfig(num_proposals=6, num_refinements=2, width=16, feedforward_width=16, neck_groups=16)

Tensors = Dict[str, torch.Tensor]


def make_features(batch: int = BATCH, height: int = 64, width: int = 96) -> Tensors:
    """Random pictures of cameras that look ahead."""
    generator = torch.Generator().manual_seed(0)
    front = torch.tensor([[0.5, -0.7, 0.0, 0.0], [0.5, 0.0, -1.0, 1.5], [1.0, 0.0, 0.0, 0.0]])
    return {
        "images": torch.randint(0, 256, (batch, 4, 3, height, width), dtype=torch.uint8, generator=generator),
        "projections": front.expand(batch, 4, 3, 4).clone(),
        "ego_status": torch.randn(batch, 8, generator=generator),
    }


def make_model(config: IPadConfig = SMALL) -> IPad:
    """With weights of a fixed seed."""
    torch.manual_seed(0)
    return IPad(config)


def make_labels(config: IPadConfig, batch: int = BATCH) -> Tensors:
    """Labels of every kind."""
    count = (batch, config.num_proposals)
    return {
        "scores": torch.rand(*count, len(config.scores)),
        "areas": (torch.rand(*count, config.num_poses, 2) > 0.5).float(),
        "hits": torch.cat([torch.ones(*count, 1), torch.randn(*count, 5)], dim=-1),
    }


def test_shapes() -> None:
    model, config = make_model(), SMALL
    predictions = model(make_features())
    count = (BATCH, config.num_proposals)
    assert predictions["trajectory"].shape == (BATCH, 8, 3)
    assert predictions["proposals"].shape == (BATCH, 2, config.num_proposals, 8, 3)
    assert predictions["scores"].shape == (*count, len(config.scores))
    assert predictions["areas"].shape == (*count, 8, 2) and predictions["hits"].shape == (*count, 6)


def test_the_plan_is_the_proposal_of_the_highest_score() -> None:
    predictions = make_model().eval()(make_features())
    best = predictions["scores"][..., -1].argmax(dim=1)
    for row in range(BATCH):
        torch.testing.assert_close(predictions["trajectory"][row], predictions["proposals"][row, -1, best[row]])


def test_cached_features_give_the_same_plan() -> None:
    model, features = make_model().eval(), make_features()
    with torch.no_grad():
        encoded = model.encode(features)
        rest = {name: tensor for name, tensor in features.items() if name != "images"}
        torch.testing.assert_close(model({**rest, **encoded})["proposals"], model(features)["proposals"])


def test_pictures_matter_and_scenes_of_a_batch_do_not_mix() -> None:
    model, features = make_model().eval(), make_features()
    with torch.no_grad():
        before = model(features)["proposals"]
        features["images"][0] = 255 - features["images"][0]
        after = model(features)["proposals"]
    assert (before[0] - after[0]).abs().max() > 1e-5
    torch.testing.assert_close(before[1], after[1])


def test_every_trained_parameter_gets_a_gradient() -> None:
    model, features = make_model(), make_features()
    parts = ipad_loss(model(features), {"trajectory": torch.randn(BATCH, 8, 3)}, make_labels(SMALL), IPadLossConfig())
    torch.stack(list(parts.values())).sum().backward()
    without = [name for name, own in model.named_parameters() if own.requires_grad and own.grad is None]
    assert without == []
    assert all(own.grad is None for own in model.backbone.parameters()), "it is frozen"


def test_the_scorer_knows_what_the_other_heads_found_and_does_not_teach_them() -> None:
    model, features = make_model().eval(), make_features()
    before = model(features)["scores"]
    before.sum().backward()
    assert all(own.grad is None for own in (*model.area_head.parameters(), *model.hit_head.parameters()))
    with torch.no_grad():
        model.area_head[-1].bias += 5.0
    assert (model(features)["scores"] - before).abs().max() > 1e-3
    apart = make_model(replace(SMALL, score_knows_findings=False)).eval()
    assert apart.findings is None


@pytest.mark.parametrize("every, times", ((False, 1), (True, 2)))
def test_a_fusion_module_is_asked_and_sees_the_features(every: bool, times: int) -> None:
    class Recorder(torch.nn.Module):
        """Keeps what it was asked."""

        def __init__(self) -> None:
            super().__init__()
            self.shapes: List[Tuple[torch.Size, torch.Size]] = []

        def forward(self, queries: torch.Tensor, features: Tensors) -> torch.Tensor:
            """The queries, unchanged."""
            self.shapes.append((queries.shape, features["memory"].shape))
            return queries

    model, features = make_model(replace(SMALL, fuse_every_refinement=every)).eval(), make_features()
    with torch.no_grad():
        expected = model(features)["proposals"]
        model.fusion = Recorder()
        found = model({**features, "memory": torch.zeros(BATCH, 5, 7)})["proposals"]
    assert model.fusion.shapes == [((BATCH, 6 * 8, 16), (BATCH, 5, 7))] * times
    torch.testing.assert_close(found, expected)


def test_the_box_stands_where_the_pose_says() -> None:
    box = EgoBoxConfig(heights=(0.0, 1.0))
    corners = place_box(torch.tensor([[[10.0, 5.0, torch.pi / 2]]]), box)[0, 0]
    assert corners.shape == (8, 3)
    torch.testing.assert_close(corners[:4, 1].amax(), torch.tensor(5.0 + box.front))
    torch.testing.assert_close(corners[:4, 1].amin(), torch.tensor(5.0 + box.rear))
    torch.testing.assert_close(corners[:4, 0].amax(), torch.tensor(10.0 + box.half_width))
    assert corners[:, 2].tolist() == [0.0] * 4 + [1.0] * 4


def golden_outputs() -> Tensors:
    """Outputs for fixed weights and inputs, thinned out to a few KB."""
    model = make_model().eval()
    fix_weights(model)
    pictures = (torch.arange(4 * 3 * 64 * 96) * 37 % 256).to(torch.uint8).reshape(1, 4, 3, 64, 96)
    ego_status = torch.cos(torch.arange(8, dtype=torch.float32))[None]
    with torch.no_grad():
        outputs = model({**make_features(1), "images": pictures, "ego_status": ego_status})
    return {name: tensor.flatten()[::5].clone() for name, tensor in outputs.items()}


def test_outputs_are_the_golden_ones() -> None:
    """After a change on purpose: python -m tests.models.test_ipad writes them anew."""
    golden, found = load_file(GOLDEN), golden_outputs()
    assert set(found) == set(golden)
    for name, tensor in golden.items():
        torch.testing.assert_close(found[name], tensor, atol=2e-4, rtol=1e-3, msg=name)


@pytest.mark.slow
def test_it_learns_one_batch_by_heart() -> None:
    config = replace(SMALL, ego_dropout=0.0)
    model, features, labels = make_model(config), make_features(4), make_labels(config, 4)
    features.update(model.encode(features))
    features["ego_status"][:, 0] = torch.tensor([0.0, 3.0, 6.0, 9.0])
    human = integrate_motion(
        2.5 * torch.randn(4, 8, 2), features["ego_status"], MotionConfig(gain=0.3)
    )  # can be driven
    optimizer = torch.optim.AdamW([own for own in model.parameters() if own.requires_grad], lr=6e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 450)
    losses = []
    for _ in range(450):
        parts = ipad_loss(model(features), {"trajectory": human}, labels, IPadLossConfig())
        optimizer.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        optimizer.step()
        schedule.step()
        losses.append(parts["imitation"].item())
    assert losses[-1] < 0.05 * losses[0] and losses[-1] < 0.5


@pytest.mark.slow
def test_one_step_of_the_paper_size() -> None:
    config = IPadConfig()
    model, features = make_model(config), make_features(1, 256, 448)
    assert 20e6 < sum(own.numel() for own in model.parameters()) < 35e6
    parts = ipad_loss(model(features), {"trajectory": torch.randn(1, 8, 3)}, make_labels(config, 1), IPadLossConfig())
    torch.stack(list(parts.values())).sum().backward()
    assert all(own.grad is not None and torch.isfinite(own.grad).all() for own in model.parameters())


if __name__ == "__main__":
    save_file(golden_outputs(), GOLDEN)
