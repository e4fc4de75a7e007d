"""How well trial motions fit, of all scenes: what the second step of latent actions reads and does not change."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Dict, Iterator

import torch
from tqdm import tqdm

from latentvla_agent.features.windows import PROJECTION
from latentvla_agent.models.latent_action import LatentActionModel
from latentvla_agent.training.feature_cache import (
    CacheRecipe,
    FeatureCache,
    JoinedCache,
    count_finished,
    is_complete,
    write_shards,
)

TRIALS = "trials"
CHUNK = 32  # scenes in one pass


def cache_trials(model: LatentActionModel, cache: FeatureCache, folder: Path) -> JoinedCache:
    """`cache` with `TRIALS` (T - 1, M, R, K) of every scene, half of a step's work, written to `folder` where it is not
    there yet. The folder is the training's own: that of a model whose warp stays as it is."""
    if not is_complete(folder):
        finished = count_finished(folder)
        with tqdm(
            total=len(cache), initial=finished, desc=f"trial motions of {cache.folder.name}", unit="scene"
        ) as bar:
            recipe = CacheRecipe(cache.tokens, {"features": cache.folder.name})
            write_shards(folder, recipe, _try(model, cache, finished), bar.update, time.perf_counter)
    return JoinedCache([cache, FeatureCache(folder)])


def _try(model: LatentActionModel, cache: FeatureCache, first: int) -> Iterator[Dict[str, torch.Tensor]]:
    device = next(model.parameters()).device
    with torch.no_grad():
        for indices in torch.arange(first, len(cache)).split(CHUNK):
            batch = cache.read(indices.tolist())
            yield {TRIALS: model.try_motions(batch["frame_features"].to(device), batch[PROJECTION].to(device))}
