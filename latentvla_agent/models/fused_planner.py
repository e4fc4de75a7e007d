"""A planner that is told of latent actions."""

from __future__ import annotations

import time
from typing import Any, Optional

import torch
from torch import nn

from latentvla_agent.models.backbones import freeze_backbones
from latentvla_agent.models.fusion import FusionConfig, LatentFusion
from latentvla_agent.models.latent_tokens import ACTION_LOGITS, ACTION_TOKENS, Tensors
from latentvla_agent.models.student import Student
from latentvla_agent.models.token_controls import ForeignTokens

FUSION = "fusion."  # how the names of the tensors begin that a fused planner has and an unfused one has not


class FusedPlanner(nn.Module):
    """`planner` (IPad or Transfuser) with the tokens of `student`, any module that makes `LatentTokens`.

    Without a student the tokens come with the features: a teacher's, of a cache. A student stays as it was distilled,
    in eval mode and without gradient, for planners are trained on the tokens that they will get; one that
    `student_trains` is a control, which learns from the planner's loss alone.
    """

    def __init__(
        self,
        planner: Any,
        fusion: FusionConfig = FusionConfig(),
        student: Optional[nn.Module] = None,
        student_trains: bool = False,
    ):
        super().__init__()
        self.planner, self.student, self._student_trains = planner, student, student_trains
        self.token_seconds = 0.0  # that the student took in the last pass
        planner.fusion = LatentFusion(fusion, planner.query_width)
        if student is not None and not student_trains:
            student.requires_grad_(False).eval()
        if isinstance(student, (Student, ForeignTokens)):
            freeze_backbones(planner)  # the student was distilled on what they give

    @property
    def config(self) -> Any:
        """The planner's."""
        return self.planner.config

    @property
    def num_poses(self) -> int:
        """Of a plan."""
        return int(self.planner.num_poses)

    def train(self, mode: bool = True) -> FusedPlanner:
        """The student doesn't, as a rule."""
        super().train(mode)
        if self.student is not None and not self._student_trains:
            self.student.eval()
        return self

    def encode(self, features: Tensors) -> Tensors:
        """What a cache may keep of the pictures: the planner's `image_features`."""
        encoded: Tensors = self.planner.encode(features)
        return encoded

    def forward(self, features: Tensors) -> Tensors:
        """The planner's predictions, and "action_logits" (B, S, codes) where a student made them."""
        if self.student is None:
            predictions: Tensors = self.planner(features)
            return predictions
        if "image_features" not in features:
            features = {**features, **self.encode(features)}
        if ACTION_TOKENS not in features:
            features = {**features, **self._make_tokens(features)}
        return {**self.planner(features), ACTION_LOGITS: features[ACTION_LOGITS]}

    def _make_tokens(self, features: Tensors) -> Tensors:
        """The student's, and how long it took, once the device is done."""
        assert self.student is not None
        begun = time.perf_counter()
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._student_trains):
            tokens: Tensors = self.student(features).as_features()
        if tokens[ACTION_LOGITS].is_cuda and not self.training:
            torch.cuda.synchronize()
        self.token_seconds = time.perf_counter() - begun
        return tokens
