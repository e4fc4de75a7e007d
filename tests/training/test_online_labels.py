"""Labels of proposals in a training step are those of the scorer."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from latentvla_agent.errors import ConfigError
from latentvla_agent.scoring.metric_cache import MetricCache, cache_path, read_metric_cache, write_metric_cache
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.scoring.warm_up import make_parking_lot
from latentvla_agent.training import online_labels
from latentvla_agent.training.online_labels import ProposalScorer, check_names

NAMES = ("ego_progress", "comfort", "score")


def test_labels_of_two_scenes(tmp_path: Path) -> None:
    cache = make_parking_lot()
    write_metric_cache(cache, tmp_path)
    paths = {token: cache_path(tmp_path, "parking-lot", "parking-lot") for token in ("a", "b")}
    proposals = torch.cumsum(torch.rand(2, 5, 8, 3, generator=torch.Generator().manual_seed(0)), dim=2)
    labels = ProposalScorer(paths.__getitem__, "pdms-v1.1", NAMES).label(["a", "b"], proposals.requires_grad_())
    assert labels["areas"].shape == (2, 5, 8, 2) and labels["hits"].shape == (2, 5, 6)
    assert not any(tensor.requires_grad for tensor in labels.values())
    expected = Scorer().score(cache, proposals[1].detach().numpy().astype(np.float64))
    np.testing.assert_array_equal(labels["scores"][1, :, 2].numpy(), expected.score.astype(np.float32))
    np.testing.assert_array_equal(labels["scores"][1, :, 1].numpy(), expected.sub_scores["comfort"].astype(np.float32))


def test_one_plan_per_scene(tmp_path: Path) -> None:
    cache = make_parking_lot()
    write_metric_cache(cache, tmp_path)
    path = cache_path(tmp_path, "parking-lot", "parking-lot")
    scorer = ProposalScorer(lambda _: path, "pdms-v1.1", NAMES)
    plan = torch.cumsum(torch.rand(1, 8, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    torch.testing.assert_close(scorer.score(["a"], plan), scorer.label(["a"], plan[:, None])["scores"][:, 0])


def test_only_the_last_scenes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_metric_cache(make_parking_lot(), tmp_path)
    path, read = cache_path(tmp_path, "parking-lot", "parking-lot"), []

    def remember(path: Path) -> MetricCache:
        cache = read_metric_cache(path)
        read.append(weakref.ref(cache))
        return cache

    monkeypatch.setattr(online_labels, "read_metric_cache", remember)
    scorer = ProposalScorer(lambda _: path, "pdms-v1.1", NAMES, kept=2)
    for token in ("a", "b", "a", "c", "a"):
        scorer.score([token], torch.zeros(1, 8, 3))
    gc.collect()
    assert [cache() is None for cache in read] == [False, True, False], "b was asked for least lately"
    assert scorer.score(["x", "y", "z"], torch.zeros(3, 8, 3)).shape == (3, 3), "a batch may have more"


def test_a_score_that_the_metric_has_not_is_told_before_the_first_step() -> None:
    check_names("epdms-v2.2", ("ego_progress", "lane_keeping", "score"))
    with pytest.raises(ConfigError, match="metric epdms-v2.2: expected scores among .*, got 'comfort'"):
        ProposalScorer(lambda _: Path(), "epdms-v2.2", NAMES)
