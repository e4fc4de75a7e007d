"""Stages of the chain in miniature, on random features, in two processes: `python -m tests.pipeline.two_processes STAGE
FOLDER`. Lightning starts the second one with the same command."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List

import torch

from latentvla_agent.features.windows import PROJECTION
from latentvla_agent.pipeline import distillation, latent_actions
from latentvla_agent.training.action_codes import write_codes
from latentvla_agent.training.feature_cache import META, CacheRecipe, FeatureCache, write_shards
from tests.evaluation.commands import ROOT, environment
from tests.models.streets import make_projections

TIME_LIMIT_S = 240.0
TOKENS = {name: tuple(f"{name}{i}" for i in range(count)) for name, count in (("train", 48), ("dev", 24))}
TOGETHER = {"devices": 2, "accelerator": "cpu", "workers": 0, "threads": 1, "batch_size": 8}
WINDOWS = {
    **TOGETHER,
    "epochs": 2,
    "also": [],
    "model.feature_size": 6,
    "model.grid": [8, 8],
    "model.width": 16,
    "model.num_heads": 2,
    "model.encoder_depth": 1,
    "model.decoder_depth": 1,
    "model.trials": [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]],
}
STUDENT = {**TOGETHER, "epochs": 2, "student.depth": 1, "student.width": 16, "student.channels": 8, "loss.codes": 1.0}


def run_together(stage: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a stage in a folder, which gets `out/`, to its end."""
    for name, seed in (("train", 0), ("dev", 1)):
        make_cache(stage, folder / name, TOKENS[name], torch.Generator().manual_seed(seed))
    command = [sys.executable, "-m", "tests.pipeline.two_processes", stage, str(folder)]
    return subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
    )


def make_cache(stage: str, folder: Path, tokens: Any, generator: torch.Generator) -> None:
    """What the stage reads of every scene."""
    count = len(tokens)
    if stage == "latent-actions":
        rows = {
            "frame_features": torch.randn(count, 4, 64, 6, generator=generator),
            "motion": torch.randn(count, 3, 7, generator=generator) + 3.0,
            PROJECTION: make_projections(count),
        }
    else:
        rows = {
            "image_features": torch.randn(count, 4, 8, 8, 8, generator=generator),
            "ego_status": torch.randn(count, 8, generator=generator),
            "visual_tokens": torch.randn(count, 3, 192, generator=generator),
            "action_tokens": torch.randn(count, 12, 192, generator=generator),
            "action_logits": torch.randn(count, 12, 16, generator=generator),
        }
        write_codes(folder.parent / f"codes-{folder.name}.npz", tokens, torch.zeros(count, 12, dtype=torch.int64))
    if not (folder / META).is_file():
        write_shards(folder, CacheRecipe(tokens, {}), [rows], lambda count: None, time.perf_counter)


def train_miniature(stage: str, folder: Path) -> None:
    """One stage, whose data are the caches in the folder."""
    scenes = [SimpleNamespace(name=name, refs=[SimpleNamespace(token=t) for t in own]) for name, own in TOKENS.items()]
    settings: Dict[str, Any] = WINDOWS if stage == "latent-actions" else {**STUDENT, "codes": str(folder)}

    def open_caches(*_: Any) -> List[FeatureCache]:
        return [FeatureCache(folder / scene.name) for scene in scenes]

    request: Any = SimpleNamespace(cache=None, data=None)
    room: Any = latent_actions if stage == "latent-actions" else distillation
    room.collect_splits = lambda *_: scenes
    if stage == "latent-actions":
        room.cache_features = lambda source, own, base: open_caches()[: len(own)]
        room.load_pretrained_backbones = room.write_code_page = lambda *_: None
        room.train_latent_actions("latent-actions-tiny", 0, folder / "out", settings, request)
    else:
        room.open_teacher = lambda folder: SimpleNamespace(weights="none")
        room.cache_planner = room.cache_tokens = open_caches
        room.distill("distillation-tiny", 0, folder / "out", settings, request)


if __name__ == "__main__":
    train_miniature(sys.argv[1], Path(sys.argv[2]))
