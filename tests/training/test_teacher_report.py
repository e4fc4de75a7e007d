"""What a teacher's report says: known answers of known writers, and a blind one that can't see."""

from __future__ import annotations

import csv
import io
import math
from typing import Any, Dict, List, Optional

import pytest
import torch

from latentvla_agent.models.latent_tokens import LatentTokens, Tensors
from latentvla_agent.training.teacher_report import (
    Written,
    hide_pictures,
    judge_prior,
    judge_teacher,
    report_written,
    tabulate_written,
)

NUM_CODES = 16


class Reader(torch.nn.Module):
    """Says with probability one half what the picture says, which is the true code; the other codes share the rest."""

    def forward(self, features: Tensors, codes: Optional[torch.Tensor] = None) -> LatentTokens:
        said = features["teacher_features"][:, 0, 0].long()  # (B, S)
        logits = torch.zeros(*said.shape, NUM_CODES).scatter(-1, said[..., None], math.log(NUM_CODES - 1.0))
        return LatentTokens(logits, logits, logits)


class Scenes:
    """A cache whose pictures are the codes."""

    def __init__(self, codes: torch.Tensor):
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)

    def read(self, indices: List[int]) -> Tensors:
        return {"teacher_features": self.codes[indices][:, None, None].float(), "ego_status": torch.ones(1)}


@pytest.fixture
def codes() -> torch.Tensor:
    return torch.randint(0, NUM_CODES, (70, 12), generator=torch.Generator().manual_seed(0))


def test_one_that_reads_the_picture_is_as_sure_as_it_says(codes: torch.Tensor) -> None:
    reader: Any = Reader()
    written = judge_teacher(reader, Scenes(codes), codes)  # type: ignore[arg-type]
    assert written.is_hit.all() and written.is_hit.shape == codes.shape
    torch.testing.assert_close(written.surprise, torch.full(codes.shape, math.log(2.0), dtype=torch.float64))


def test_a_blind_one_cannot(codes: torch.Tensor) -> None:
    reader: Any = Reader()
    written = judge_teacher(reader, Scenes(codes), codes, blind=True)  # type: ignore[arg-type]
    assert torch.equal(written.is_hit, codes == 0), "the code that a black picture stands for"
    features = {"teacher_features": torch.ones(2), "teacher_images": torch.ones(2), "ego_status": torch.ones(2)}
    assert {name: float(value.sum()) for name, value in hide_pictures(features).items()} == {
        "teacher_features": 0.0,
        "teacher_images": 0.0,
        "ego_status": 2.0,
    }


def test_the_prior_is_that_of_each_slot() -> None:
    train = torch.tensor([[3, 0]] * 84)
    written = judge_prior(train, torch.tensor([[3, 1]]), NUM_CODES)
    assert written.is_hit.tolist() == [[True, False]]
    assert written.surprise[0].tolist() == pytest.approx([-math.log(0.85), -math.log(0.01)])


def test_the_report_has_every_writer_by_slot_and_chance() -> None:
    written = Written(torch.tensor([[1.0, 3.0], [1.0, 5.0]]).double(), torch.tensor([[True, False], [True, True]]))
    report = report_written({"teacher": written}, NUM_CODES)
    assert report["chance"] == {"nll": pytest.approx(math.log(16)), "accuracy": 1 / 16}
    assert report["teacher"] == {
        "nll": 2.5,
        "accuracy": 0.75,
        "nll_by_slot": [1.0, 4.0],
        "accuracy_by_slot": [1.0, 0.5],
    }
    rows: List[Dict[str, str]] = list(
        csv.DictReader(io.StringIO(tabulate_written(["a", "b"], ["x", "y"], {"teacher": written}).decode()))
    )
    assert rows[0] == {"token": "a", "log": "x", "teacher_nll": "2.000000", "teacher_accuracy": "0.500000"}
    assert rows[1]["teacher_accuracy"] == "1.000000"
