"""What the training of latent actions reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict

import pytest
import torch

from latentvla_agent.features.windows import PROJECTION
from latentvla_agent.models.latent_action import LatentActionModel
from latentvla_agent.training.latent_action_config import LatentActionTraining
from latentvla_agent.training.latent_action_module import LatentActionModule, measure_perplexity
from tests.models.streets import make_projections
from tests.models.test_latent_action import EGO, ENVIRONMENT, make_frames

TRAINING = LatentActionTraining()


class Recorder(LatentActionModule):
    """Keeps what goes into the log."""

    def __init__(self, model: LatentActionModel):
        super().__init__(model, TRAINING)
        self.logged: Dict[str, float] = {}

    def log(self, name: str, value: torch.Tensor, **options: object) -> None:  # type: ignore[override]
        self.logged[name] = float(value)

    def log_dict(self, values: Dict[str, torch.Tensor], **options: object) -> None:  # type: ignore[override]
        self.logged.update({name: float(value) for name, value in values.items()})


def make_batch() -> Dict[str, torch.Tensor]:
    features, motion = make_frames()
    motion[:, :, 0] = 0.0
    motion[:3, :, 0] = 5.0
    return {"frame_features": features, "motion": motion, PROJECTION: make_projections(len(features))}


def make_module(step: str) -> Recorder:
    torch.manual_seed(0)
    return Recorder(LatentActionModel({"ego": EGO, "environment": ENVIRONMENT}[step]))


def make_begun(step: str, batch: Dict[str, torch.Tensor]) -> Recorder:
    """A module whose codebooks begin at what they find in the batch."""
    module = make_module(step).train()
    module(batch)
    return module.eval()


@pytest.mark.parametrize("step", ("environment", "ego"))
def test_the_loss_is_reconstruction_and_codebooks(step: str) -> None:
    module, batch = make_module(step).train(), make_batch()
    loss = module.training_step(batch, 0)
    loss.backward()
    parts = [value for name, value in module.logged.items() if name.startswith("loss/")]
    assert len(parts) == (2 if step == "environment" else 3)
    assert loss.item() == pytest.approx(sum(parts), rel=1e-5)


def test_only_windows_in_which_the_ego_moves_count() -> None:
    batch = make_batch()
    module, again = (make_begun("ego", batch) for _ in range(2))
    module.on_validation_epoch_start()
    module.validation_step(batch, 0)
    module.on_validation_epoch_end()
    moving = module(batch)
    rest, change = ((own - moving.target)[:3].square().mean().item() for own in (moving.predicted, moving.before))
    assert module.logged["dev_explained"] == pytest.approx(1.0 - rest / change, abs=1e-5)
    assert 1.0 <= module.logged["dev/perplexity_ego"] <= 4.0
    changed = {**batch, "frame_features": batch["frame_features"].clone()}
    changed["frame_features"][3:] = 0.0  # standing windows
    again.on_validation_epoch_start()
    again.validation_step(changed, 0)
    assert again.logged["dev_explained"] == pytest.approx(module.logged["dev_explained"], abs=1e-5)


def test_codes_of_other_scenes_are_measured_with_the_codebook_that_trains() -> None:
    batch = make_batch()
    for step in ("environment", "ego"):
        module = make_begun(step, batch)
        torch.nn.init.normal_(module.model.decoder.output.weight, std=0.1)
        module.on_validation_epoch_start()
        module.validation_step(batch, 0)
        found, motion = module(batch), batch["motion"] if step == "environment" else None
        foreign = module.model.predict_foreign(batch["frame_features"], found.latents, step, batch[PROJECTION], motion)
        error, change = ((own - found.target)[:3].square().mean().item() for own in (foreign, found.before))
        assert module.logged["dev/shuffled"] == pytest.approx(error / change, rel=1e-5)


def test_perplexity() -> None:
    config = replace(EGO)
    assert measure_perplexity(torch.tensor([0, 1, 2, 3]), config).item() == pytest.approx(4.0)
    assert measure_perplexity(torch.tensor([2, 2, 2]), config).item() == pytest.approx(1.0)
