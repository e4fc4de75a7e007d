"""`latentvla train teacher`: a vision-language model learns to write the codes of latent actions; a blind one too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import torch

from latentvla_agent.data.files import hash_file, write_atomically
from latentvla_agent.evaluation.paired_statistics import bootstrap_difference
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.models.latent_tokens import ActionVocabulary
from latentvla_agent.pipeline.scenes import DataRequest, cache_features, claim_run, collect_splits
from latentvla_agent.pipeline.teachers import hash_tower, make_teacher, make_teacher_features
from latentvla_agent.training.action_codes import read_codes
from latentvla_agent.training.config import read_training
from latentvla_agent.training.feature_cache import FeatureCache
from latentvla_agent.training.fitting import REPORT, FitPlan, fit
from latentvla_agent.training.scene_features import FeatureSource, SceneSet
from latentvla_agent.training.teacher_config import TeacherTraining
from latentvla_agent.training.teacher_module import LIKELIHOOD, TeacherModule
from latentvla_agent.training.teacher_report import (
    Written,
    judge_prior,
    judge_teacher,
    report_written,
    tabulate_written,
)

BLIND = "blind"  # the folder of the baseline, below the teacher's


def train_teacher(
    config: str, seed: int, out: Optional[Path], settings: Mapping[str, Any], request: DataRequest
) -> None:
    """See `cli.train.train_teacher_command`."""
    training = read_training(config, TeacherTraining, settings)
    torch.set_num_threads(training.threads or count_cores())
    teacher = make_teacher(training, seed)
    scenes = collect_splits(request, training)
    paths = [Path(training.codes) / f"codes-{own.name}.npz" for own in scenes]
    codes = [read_codes(path, [ref.token for ref in own.refs]) for path, own in zip(paths, scenes)]
    hashes = [hash_file(path) for path in paths]
    folder, facts = claim_run(config, seed, out, training, scenes, codes=hashes)
    features, tower = make_teacher_features(training), hash_tower(teacher)
    source = FeatureSource(features, [], teacher, tower, training)
    caches = cache_features(source, scenes, request.cache)
    judged = {"prior": judge_prior(codes[0], codes[1], teacher.vocabulary.num_codes)}
    plan = FitPlan(folder, seed, caches[0], caches[1], facts, LIKELIHOOD)
    for name in ("teacher", BLIND) if training.baseline else ("teacher",):
        own = plan if name == "teacher" else replace(plan, out=folder / BLIND)
        own.out.mkdir(parents=True, exist_ok=True)
        learner = teacher if name == "teacher" else make_teacher(training, seed)
        module = TeacherModule(learner, training.optimizer, codes[0], codes[1], name == BLIND)
        record = fit(module, training, own)
        if not record:  # of several processes this is not the first
            continue
        print(f"trained {name}, {training.backbone}, seed {seed}: {record}")
        judged[name] = judge_teacher(learner, caches[1], codes[1], name == BLIND)
    if "teacher" in judged:
        write_report(folder, scenes[1], caches[1], judged, teacher.vocabulary)


def write_report(
    folder: Path, scenes: SceneSet, cache: FeatureCache, judged: Dict[str, Written], words: ActionVocabulary
) -> None:
    """`report.json` and a row per scene of the dev split, in the folder of the teacher."""
    log_of = {ref.token: ref.log_name for ref in scenes.refs}
    logs = [log_of[token] for token in cache.tokens]
    report = report_written(judged, words.num_codes)
    if BLIND in judged:
        report["teacher_minus_blind"] = compare_written(judged["teacher"], judged[BLIND], cache.tokens, logs)
    write_atomically(folder / REPORT, (json.dumps(report, indent=1) + "\n").encode())
    write_atomically(folder / f"written-{scenes.name}.csv", tabulate_written(cache.tokens, logs, judged))
    print(f"report: {report}")


def compare_written(first: Written, second: Written, tokens: Sequence[str], logs: Sequence[str]) -> Dict[str, Any]:
    """Paired differences with hierarchical intervals over logs, then scenes: of surprise [nat] and accuracy."""
    compared: Dict[str, Any] = {}
    pairs = {"nll": (first.surprise, second.surprise), "accuracy": (first.is_hit, second.is_hit)}
    for name, pair in pairs.items():
        sides: List[Dict[str, Dict[str, float]]] = []
        for values in pair:
            by_log: Dict[str, Dict[str, float]] = {log: {} for log in logs}
            for token, log, value in zip(tokens, logs, values.double().mean(dim=1).tolist()):
                by_log[log][token] = value
            sides.append(by_log)
        means = [float(values.double().mean()) for values in pair]
        low, high = bootstrap_difference(sides[0], sides[1])
        compared[name] = {"difference": means[0] - means[1], "low": low, "high": high}
    compared["nll_relative"] = float(first.surprise.mean() / second.surprise.mean()) - 1.0
    return compared
