"""The scorer for training: tensors in, tensors out. Torch is imported when a function here is called, not before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Sequence

import numpy as np

from latentvla_agent.data.scene import TrajectorySampling
from latentvla_agent.errors import TrajectoryError
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.scorer import Scorer

if TYPE_CHECKING:
    from torch import Tensor


def score_tensors(
    scorer: Scorer,
    caches: Sequence[MetricCache],
    trajectories: Tensor,
    sampling: TrajectorySampling = TrajectorySampling(),
) -> Dict[str, Tensor]:
    """Score proposals (B, N, T, 3), N per scene: `score` and every sub-score as float32 tensors (B, N).

    The proposals travel to the host once, all scenes together, and without a copy where they lie there already; the
    results travel back once. They carry no gradient. Two-frame comfort is left out: a proposal has no predecessor.
    Raises `TrajectoryError` where there is not one cache per scene, and as `Scorer.score` does.
    """
    import torch

    if trajectories.ndim != 4 or len(caches) != len(trajectories):
        shape = tuple(trajectories.shape)
        raise TrajectoryError(f"expected trajectories (B, N, T, 3) with B = {len(caches)} caches, got {shape}")
    host = trajectories.detach().cpu().numpy()
    names = ["score"] + [name for name in scorer.metric.columns if name != "two_frame_extended_comfort"]
    results = np.empty((len(names), len(caches), trajectories.shape[1]), dtype=np.float32)
    for b, cache in enumerate(caches):
        scores = scorer.score(cache, host[b], sampling)
        results[0, b] = scores.score
        for i, name in enumerate(names[1:], start=1):
            results[i, b] = scores.sub_scores[name]
    return dict(zip(names, torch.from_numpy(results).to(trajectories.device)))
