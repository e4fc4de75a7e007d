"""How well trial motions fit, of all scenes: what the second step of latent actions reads and does not change."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator

import torch

from latentvla_agent.features.windows import PROJECTION
from latentvla_agent.models.latent_action import LatentActionModel
from latentvla_agent.training.feature_cache import CacheRecipe, FeatureCache, JoinedCache, open_cache

TRIALS = "trials"
CHUNK = 32  # scenes in one pass


def cache_trials(model: LatentActionModel, cache: FeatureCache, folder: Path) -> JoinedCache:
    """`cache` with `TRIALS` (T - 1, M, R, K) of every scene, half of a step's work, written to `folder` where it is not
    there yet. The folder is the training's own: that of a model whose warp stays as it is."""
    name = cache.folder.name
    recipe = CacheRecipe(cache.tokens, {"features": name})
    tried = open_cache(folder, recipe, lambda first: _try(model, cache, first), f"trial motions of {name}")
    return JoinedCache([cache, tried])


def _try(model: LatentActionModel, cache: FeatureCache, first: int) -> Iterator[Dict[str, torch.Tensor]]:
    device = next(model.parameters()).device
    with torch.no_grad():
        for indices in torch.arange(first, len(cache)).split(CHUNK):
            batch = cache.read(indices.tolist())
            maps = model.normalise(batch["frame_features"].to(device))
            yield {TRIALS: model.try_motions(maps, batch[PROJECTION].to(device))}
