"""Trial motions that were tried before: the same numbers, and a build that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest
import torch

from latentvla_agent.errors import DataError
from latentvla_agent.features.windows import PROJECTION
from latentvla_agent.models.latent_action import LatentActionModel
from latentvla_agent.training.latent_action_config import LatentActionTraining
from latentvla_agent.training.latent_action_module import LatentActionModule
from latentvla_agent.training.trial_cache import TRIALS, cache_trials
from tests.models.streets import make_projections
from tests.models.test_latent_action import EGO, make_frames

COUNT = 300  # more than a shard


class MemoryCache:
    """Stand-in of a feature cache that counts what is read; it breaks after `limit` reads."""

    folder, tokens = Path("minitown-x"), tuple(map(str, range(COUNT)))

    def __init__(self, limit: int = 1000):
        self.features, self.motion = make_frames(COUNT)
        self.limit, self.read_scenes = limit, 0

    def __len__(self) -> int:
        return COUNT

    def read(self, indices: Sequence[int]) -> Dict[str, torch.Tensor]:
        rows: List[int] = list(indices)
        self.limit -= 1
        if self.limit < 0:
            raise DataError("broken")
        self.read_scenes += len(rows)
        projections = make_projections(len(rows))
        return {"frame_features": self.features[rows], "motion": self.motion[rows], PROJECTION: projections}


def make_model() -> LatentActionModel:
    torch.manual_seed(0)
    return LatentActionModel(EGO).eval()


def test_what_was_tried_before_is_what_is_tried_now(tmp_path: Path) -> None:
    cache: Any = MemoryCache()
    model = make_model()
    batch = cache_trials(model, cache, tmp_path / "trials").read([0, 17, 299])
    tried = model.try_motions(model.normalise(batch["frame_features"]), batch[PROJECTION])
    assert batch[TRIALS].shape == (3, 3, len(EGO.trials), *EGO.grid) and batch["motion"].shape == (3, 3, 7)
    # Where they are large, they are kept in half precision.
    torch.testing.assert_close(batch[TRIALS], tried, atol=2e-3, rtol=1e-3)
    module = LatentActionModule(model, LatentActionTraining())
    model(batch["frame_features"], batch[PROJECTION])
    expected = model(batch["frame_features"], batch[PROJECTION], None, batch[TRIALS])
    assert torch.equal(module(batch).predicted, expected.predicted)
    other = module({**batch, TRIALS: batch[TRIALS].flip(2)})
    assert not torch.equal(other.latents["ego"].codes, expected.latents["ego"].codes), "they are read"


def test_a_build_that_broke_goes_on_after_its_last_whole_shard(tmp_path: Path) -> None:
    broken: Any = MemoryCache(limit=9)
    with pytest.raises(DataError):
        cache_trials(make_model(), broken, tmp_path)
    again: Any = MemoryCache()
    joined = cache_trials(make_model(), again, tmp_path)
    assert again.read_scenes == COUNT - 256 and len(joined) == COUNT
    finished: Any = MemoryCache()
    cache_trials(make_model(), finished, tmp_path)
    assert finished.read_scenes == 0
