"""The loss that a planner has inside NAVSIM's own training, by what it predicts."""

from __future__ import annotations

from functools import lru_cache
from typing import Dict, Tuple

import torch

from latentvla_agent.training.imitation import imitation_loss, writing_loss
from latentvla_agent.training.ipad_loss import IPadLossConfig, ipad_loss
from latentvla_agent.training.online_labels import ProposalScorer
from latentvla_agent.training.scored_targets import SCENE_NUMBER, default_folder, find_numbered_cache
from latentvla_agent.training.transfuser_loss import TransfuserLossConfig, transfuser_loss

METRIC = "pdms-v1.1"

Tensors = Dict[str, torch.Tensor]


def planner_loss(targets: Tensors, predictions: Tensors, scores: Tuple[str, ...] = ()) -> torch.Tensor:
    """A scalar: TransFuser's loss, iPad's with every proposal scored (in the order of `scores`), or imitation,
    in numbers or in words."""
    if "bev_logits" in predictions:
        return transfuser_loss(targets, predictions, TransfuserLossConfig())["loss"]
    if "pose_logits" in predictions:
        return writing_loss(targets, predictions)
    if "proposals" not in predictions:
        return imitation_loss(targets, predictions)
    numbers = [str(number) for number in targets[SCENE_NUMBER].tolist()]
    labels = _scorer(scores).label(numbers, predictions["proposals"][:, -1].float())
    return torch.stack(list(ipad_loss(predictions, targets, labels, IPadLossConfig()).values())).sum()


@lru_cache(maxsize=1)
def _scorer(scores: Tuple[str, ...]) -> ProposalScorer:
    folder = default_folder()
    return ProposalScorer(lambda number: find_numbered_cache(int(number), folder), METRIC, scores)
