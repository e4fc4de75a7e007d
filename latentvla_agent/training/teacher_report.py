"""How well a teacher writes codes on scenes it has not seen, beside one that is blind, the prior and chance."""

from __future__ import annotations

import csv
import io
import math
from typing import Any, Dict, List, NamedTuple, Sequence

import torch
from torch.nn.functional import one_hot

from latentvla_agent.models.teacher import Teacher
from latentvla_agent.training.feature_cache import SceneCache

Tensors = Dict[str, torch.Tensor]
CHUNK = 32  # scenes in one pass
PICTURES = ("teacher_images", "teacher_features", "qwen_pixel_values")


class Written(NamedTuple):
    """Of every scene and slot: surprise [nat] at the true code after the true ones before it, and whether it was the
    likeliest; (scenes, slots)."""

    surprise: torch.Tensor
    is_hit: torch.Tensor


def hide_pictures(features: Tensors) -> Tensors:
    """What a blind teacher gets: nothing but zeros in place of what is seen."""
    return {name: torch.zeros_like(value) if name in PICTURES else value for name, value in features.items()}


def judge_teacher(teacher: Teacher, cache: SceneCache, codes: torch.Tensor, blind: bool = False) -> Written:
    """What a teacher, in eval mode from now on, makes of the true codes (scenes, slots)."""
    teacher.eval()
    parts: List[Written] = []
    with torch.no_grad():
        for indices in torch.arange(len(cache)).split(CHUNK):
            features = cache.read(indices.tolist())
            logits = teacher(hide_pictures(features) if blind else features, codes[indices]).logits
            parts.append(_judge(logits.float().log_softmax(dim=-1), codes[indices]))
    return Written(*(torch.cat(part) for part in zip(*parts)))


def judge_prior(train_codes: torch.Tensor, codes: torch.Tensor, num_codes: int) -> Written:
    """Of each slot's code frequencies in training (each code counted once more than it came)."""
    counts = one_hot(train_codes, num_codes).sum(dim=0).double() + 1.0
    return _judge((counts / counts.sum(dim=-1, keepdim=True)).log().expand(len(codes), -1, -1), codes)


def _judge(log_probabilities: torch.Tensor, codes: torch.Tensor) -> Written:
    surprise = -log_probabilities.gather(-1, codes[..., None])[..., 0]
    return Written(surprise.double(), log_probabilities.argmax(dim=-1) == codes)


def report_written(by_writer: Dict[str, Written], num_codes: int) -> Dict[str, Any]:
    """`nll` [nat] and `accuracy` of every writer, and of each slot; `chance` is that of equally likely codes."""
    chance: Dict[str, Any] = {"nll": math.log(num_codes), "accuracy": 1.0 / num_codes}
    return {"chance": chance, **{name: _summarise(written) for name, written in by_writer.items()}}


def _summarise(written: Written) -> Dict[str, Any]:
    hits = written.is_hit.double()
    return {
        "nll": float(written.surprise.mean()),
        "accuracy": float(hits.mean()),
        "nll_by_slot": written.surprise.mean(dim=0).tolist(),
        "accuracy_by_slot": hits.mean(dim=0).tolist(),
    }


def tabulate_written(tokens: Sequence[str], logs: Sequence[str], by_writer: Dict[str, Written]) -> bytes:
    """A CSV of one row per scene: token, log, and mean surprise and accuracy of every writer."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["token", "log", *(f"{name}_{value}" for name in by_writer for value in ("nll", "accuracy"))])
    columns = [part for written in by_writer.values() for part in (written.surprise, written.is_hit.double())]
    means = torch.stack([column.mean(dim=1) for column in columns], dim=1)
    for token, log, row in zip(tokens, logs, means.tolist()):
        table.writerow([token, log, *(f"{value:.6f}" for value in row)])
    return text.getvalue().encode()
