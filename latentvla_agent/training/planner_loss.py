"""The loss of a planner by what it predicts, the same in our training and inside NAVSIM's own."""

from __future__ import annotations

from functools import lru_cache
from typing import Callable, Dict, Tuple

import torch

from latentvla_agent.training.imitation import imitation_loss, writing_loss
from latentvla_agent.training.ipad_loss import IPadLossConfig, imitate_best, ipad_loss
from latentvla_agent.training.online_labels import ProposalScorer
from latentvla_agent.training.scored_targets import SCENE_NUMBER, default_folder, find_numbered_cache
from latentvla_agent.training.transfuser_loss import TransfuserLossConfig, transfuser_loss

METRIC = "pdms-v1.1"

Tensors = Dict[str, torch.Tensor]


def planner_loss(
    targets: Tensors,
    predictions: Tensors,
    label: Callable[[torch.Tensor], Tensors],
    ipad: IPadLossConfig = IPadLossConfig(),
    transfuser: TransfuserLossConfig = TransfuserLossConfig(),
) -> Tensors:
    """The scalar "loss" and its parts: TransFuser's, iPad's, or imitation, in numbers or in words.

    `label` gives the labels (`ProposalScorer.label`) of proposals (B, N, T, 3); asked only where the loss needs them.
    """
    if "bev_logits" in predictions:
        return transfuser_loss(targets, predictions, transfuser)
    if "pose_logits" in predictions:
        return {"loss": writing_loss(targets, predictions)}
    if "proposals" not in predictions:
        return {"loss": imitation_loss(targets, predictions)}
    if not ipad.needs_labels:
        return {"loss": imitate_best(predictions["proposals"], targets["trajectory"], ipad)}
    parts = ipad_loss(predictions, targets, label(predictions["proposals"][:, -1].float()), ipad)
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def navsim_loss(targets: Tensors, predictions: Tensors, scores: Tuple[str, ...] = ()) -> torch.Tensor:
    """The scalar inside NAVSIM's own training, where targets name the metric caches by which all proposals are scored,
    in the order of `scores`."""

    def label(proposals: torch.Tensor) -> Tensors:
        numbers = [str(number) for number in targets[SCENE_NUMBER].tolist()]
        return _scorer(scores).label(numbers, proposals)

    return planner_loss(targets, predictions, label)["loss"]


@lru_cache(maxsize=1)
def _scorer(scores: Tuple[str, ...]) -> ProposalScorer:
    folder = default_folder()
    return ProposalScorer(lambda number: find_numbered_cache(int(number), folder), METRIC, scores)
