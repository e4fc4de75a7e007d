"""`latentvla train distill`: the teacher's tokens of every scene, once; then a student that says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import pytorch_lightning as lightning
import torch

from latentvla_agent.data.files import hash_file
from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.models.backbones import freeze_backbones
from latentvla_agent.models.checkpoint_files import find_checkpoint
from latentvla_agent.models.fused_planner import FUSION
from latentvla_agent.models.student import Student
from latentvla_agent.models.weights import load_weights
from latentvla_agent.pipeline.planner import make_learner, open_features
from latentvla_agent.pipeline.scenes import DataRequest, cache_features, claim_run, collect_splits
from latentvla_agent.pipeline.tokens import cache_tokens, open_teacher
from latentvla_agent.training.action_codes import read_codes
from latentvla_agent.training.config import read_training
from latentvla_agent.training.distillation_config import DistillationTraining
from latentvla_agent.training.distillation_module import CLOSENESS, DistillationModule
from latentvla_agent.training.feature_cache import FeatureCache, JoinedCache
from latentvla_agent.training.fitting import FitPlan, fit
from latentvla_agent.training.scene_features import SceneSet


def distill(config: str, seed: int, out: Optional[Path], settings: Mapping[str, Any], request: DataRequest) -> None:
    """See `cli.train.train_distill_command`."""
    training = read_training(config, DistillationTraining, settings)
    torch.set_num_threads(training.threads or count_cores())
    lightning.seed_everything(seed, verbose=False)
    student = Student(training.student)
    taught = open_teacher(Path(training.teacher))
    scenes = collect_splits(request, training)
    told = {"teacher": taught.weights, **hash_sources(training, scenes)}
    folder, facts = claim_run(config, seed, out, training, scenes, **told)
    caches = [
        JoinedCache(pair)
        for pair in zip(
            cache_planner(training, scenes, request.cache),
            cache_tokens(taught, training, scenes, request.cache),
        )
    ]
    codes = None
    if training.codes:
        codes = read_codes(find_codes(training, scenes), caches[0].tokens)
    module = DistillationModule(student, training.optimizer, training.loss, codes)
    record = fit(module, training, FitPlan(folder, seed, caches[0], caches[1], facts, CLOSENESS))
    if record:  # this is the first of several processes
        print(f"distilled, seed {seed}: {record}")


def hash_sources(training: DistillationTraining, scenes: Sequence[SceneSet]) -> Dict[str, str]:
    """Hashes of the files besides the teacher that a student is learnt from, where its training names them: the same
    path may hold other weights by now, and other codes."""
    found = {"start": find_checkpoint(training.start)} if training.start else {}
    if training.codes:
        found["codes"] = find_codes(training, scenes)
    missing = [path for path in found.values() if not path.is_file()]
    if missing:
        raise ConfigError(f"{missing[0]}: expected the file that start or codes of the distillation name")
    return {name: hash_file(path) for name, path in found.items()}


def find_codes(training: DistillationTraining, scenes: Sequence[SceneSet]) -> Path:
    """The codes of the training split."""
    return Path(training.codes) / f"codes-{scenes[0].name}.npz"


def cache_planner(training: DistillationTraining, scenes: List[SceneSet], base: Optional[Path]) -> List[FeatureCache]:
    """Features of the planner; the same cache as its own training has, where that has a frozen backbone."""
    agent = make_learner(training.planner)
    planner: Any = getattr(agent.model, "planner", agent.model)
    if training.start:
        load_weights(planner, training.start, new=FUSION)
    freeze_backbones(planner)
    return cache_features(open_features(agent, training), scenes, base)
