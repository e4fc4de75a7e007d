"""`latentvla train teacher`: a vision-language model learns to write the codes of latent actions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Optional

import pytorch_lightning as lightning
import torch

from latentvla_agent.data.files import hash_file
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.features.teacher import TeacherFeatures
from latentvla_agent.models.open_clip_teacher import OpenClipTeacher, load_pretrained_towers
from latentvla_agent.pipeline.scenes import DataRequest, cache_features, claim_run, collect_splits, hash_weights
from latentvla_agent.training.action_codes import read_codes
from latentvla_agent.training.config import read_training
from latentvla_agent.training.fitting import FitPlan, fit
from latentvla_agent.training.scene_features import FeatureSource
from latentvla_agent.training.teacher_config import TeacherTraining
from latentvla_agent.training.teacher_module import LIKELIHOOD, TeacherModule


def train_teacher(
    config: str, seed: int, out: Optional[Path], settings: Mapping[str, Any], request: DataRequest
) -> None:
    """See `cli.train.train_teacher_command`."""
    training = read_training(config, TeacherTraining, settings)
    torch.set_num_threads(training.threads or count_cores())
    lightning.seed_everything(seed, verbose=False)
    teacher = OpenClipTeacher(training.teacher)
    load_pretrained_towers(teacher)
    scenes = collect_splits(request, training, scored=False)
    paths = [Path(training.codes) / f"codes-{own.name}.npz" for own in scenes]
    codes = [read_codes(path, [ref.token for ref in own.refs]) for path, own in zip(paths, scenes)]
    hashes = [hash_file(path) for path in paths]
    folder, facts = claim_run(config, seed, out, training, scenes, codes=hashes)
    encoder = hash_weights([teacher.visual], teacher.config.name) if training.teacher.frozen_tower else ""
    source = FeatureSource(TeacherFeatures(training.features), [], teacher, encoder, training.workers)
    caches = cache_features(source, scenes, request.cache)
    module = TeacherModule(teacher, training.optimizer, codes[0], codes[1])
    record = fit(module, training, FitPlan(folder, seed, caches[0], caches[1], facts, LIKELIHOOD))
    print(f"trained teacher {training.teacher.name}, seed {seed}: {record}")
