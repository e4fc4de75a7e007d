"""What every model has that is told of latent actions: somebody who tells it, and who does not learn from that."""

from __future__ import annotations

import time
from typing import Optional, TypeVar

import torch
from torch import nn

from latentvla_agent.models.latent_tokens import ACTION_LOGITS, ACTION_TOKENS, Tensors

Model = TypeVar("Model", bound="ToldModel")


class ToldModel(nn.Module):
    """`student` makes `LatentTokens`; it stays as it is, in eval mode and without gradient, unless `student_trains`."""

    def __init__(self, student: Optional[nn.Module], student_trains: bool = False):
        super().__init__()
        self.student, self._student_trains = student, student_trains
        self.token_seconds = 0.0  # that the student took in the last pass
        if student is not None and not student_trains:
            student.requires_grad_(False).eval()

    def train(self: Model, mode: bool = True) -> Model:
        """The student doesn't, as a rule."""
        super().train(mode)
        if self.student is not None and not self._student_trains:
            self.student.eval()
        return self

    def add_tokens(self, features: Tensors) -> Tensors:
        """Features with the student's tokens, where none came with them; the time that took once the device is done."""
        if self.student is None or ACTION_TOKENS in features:
            return features
        begun = time.perf_counter()
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._student_trains):
            tokens: Tensors = self.student(features).as_features()
        if tokens[ACTION_LOGITS].is_cuda and not self.training:
            torch.cuda.synchronize()
        self.token_seconds = time.perf_counter() - begun
        return {**features, **tokens}
