"""PDM labels of every proposal in every training step, from the batched scorer, inside the training process."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import torch

from latentvla_agent.errors import ConfigError
from latentvla_agent.scoring.metric_cache import MetricCache, read_metric_cache
from latentvla_agent.scoring.proposal_labels import HIT_COLUMNS, NUM_POSES, label_rollouts
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.scoring.versions import ALL_METRICS, find_metric

# Scenes that a scorer keeps, 1.4 MB each with what they are scored against: all of minitown-train, 6 GB in every
# process, where all of navtrain's 103,288 would be 150. To read one anew takes 5 ms, as long as to score 64 proposals.
KEPT_SCENES = 4096

Tensors = Dict[str, torch.Tensor]
Scene = Tuple[MetricCache, npt.NDArray[np.float64]]


class ProposalScorer:
    """Scores proposals of scenes by token; of their metric caches, which `find` finds, the last `kept` are kept.

    The scorer's kernels release the GIL: scenes are scored by `num_threads` threads. See `check_names`.
    """

    def __init__(
        self,
        find: Callable[[str], Path],
        metric: str,
        names: Sequence[str],
        num_threads: int = 2,
        kept: int = KEPT_SCENES,
    ):
        check_names(metric, names)
        self._find, self._names, self._kept = find, tuple(names), kept
        self._scorer = Scorer(metric)
        self._caches: OrderedDict[str, MetricCache] = OrderedDict()
        self._threads = ThreadPoolExecutor(num_threads)

    def label(self, tokens: Sequence[str], proposals: torch.Tensor) -> Tensors:
        """Labels of proposals (B, N, T, 3), float32 on their device, without gradient.

        `scores` (B, N, S) in the order of the names, `areas` (B, N, T, 2) off road and off route, `hits` (B, N, 6):
        whether there is an at-fault collision, and the box that is hit (see `HIT_COLUMNS`).
        """
        host = proposals.detach().cpu().numpy().astype(np.float64)
        shape = host.shape[:2]
        parts = list(self._threads.map(self._label_scene, zip(map(self._load, tokens), host)))
        labels = {
            "scores": torch.from_numpy(np.stack([part[0] for part in parts])),
            "areas": torch.from_numpy(np.stack([part[1] for part in parts])),
            "hits": torch.from_numpy(np.stack([part[2] for part in parts])),
        }
        assert labels["areas"].shape == (*shape, NUM_POSES, 2) and labels["hits"].shape == (*shape, 1 + HIT_COLUMNS)
        return {name: tensor.to(proposals.device) for name, tensor in labels.items()}

    def score(self, tokens: Sequence[str], trajectories: torch.Tensor) -> torch.Tensor:
        """All named scores (B, S) of one trajectory (B, T, 3) per scene."""
        return self.label(tokens, trajectories[:, None])["scores"][:, 0]

    def _load(self, token: str) -> MetricCache:
        cache = self._caches.pop(token, None)
        self._caches[token] = cache = cache or read_metric_cache(self._find(token))
        if len(self._caches) > self._kept:
            self._caches.popitem(last=False)  # the scorer forgets its world with it
        return cache

    def _label_scene(self, scene: Scene) -> List[npt.NDArray[np.float32]]:
        cache, proposals = scene
        scores = self._scorer.score(cache, proposals)
        labels = label_rollouts(scores, self._scorer.world_of(cache))
        columns = {**scores.sub_scores, "score": scores.score}
        return [
            np.stack([columns[name] for name in self._names], axis=-1).astype(np.float32),
            np.stack([labels.off_road, labels.off_route], axis=-1).astype(np.float32),
            np.concatenate([labels.hits[:, None], labels.hit_boxes], axis=-1).astype(np.float32),
        ]


def check_names(metric: str, names: Sequence[str]) -> None:
    """Raises `ConfigError` where a metric has none of these scores: before caches are built, not in the first step."""
    known = [*find_metric(metric, ALL_METRICS).columns, "score"]
    for name in names:
        if name not in known:
            raise ConfigError(f"metric {metric}: expected scores among {', '.join(known)}, got {name!r}")
