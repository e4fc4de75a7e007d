"""A planner that is told of latent actions."""

from __future__ import annotations

from typing import Any, Optional

from torch import nn

from latentvla_agent.models.backbones import freeze_backbones
from latentvla_agent.models.fusion import FusionConfig, LatentFusion
from latentvla_agent.models.latent_tokens import ACTION_LOGITS, Tensors
from latentvla_agent.models.student import Student
from latentvla_agent.models.token_controls import ForeignTokens
from latentvla_agent.models.told_model import ToldModel

FUSION = "fusion."  # how the names of the tensors begin that a fused planner has and an unfused one has not


class FusedPlanner(ToldModel):
    """`planner` (IPad or Transfuser) with the tokens of `student`, any module that makes `LatentTokens`.

    Without a student the tokens come with the features: a teacher's, of a cache. A student stays as it was distilled,
    for planners are trained on the tokens that they will get; one that `student_trains` is a control, which learns
    from the planner's loss alone.
    """

    def __init__(
        self,
        planner: Any,
        fusion: FusionConfig = FusionConfig(),
        student: Optional[nn.Module] = None,
        student_trains: bool = False,
    ):
        super().__init__(student, student_trains)
        self.planner = planner
        planner.fusion = LatentFusion(fusion, planner.query_width)
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
        features = self.add_tokens(features)
        return {**self.planner(features), ACTION_LOGITS: features[ACTION_LOGITS]}
