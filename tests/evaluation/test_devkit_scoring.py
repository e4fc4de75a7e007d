"""`latentvla score --metric-cache`: from what the devkit wrote, without logs, maps and devkit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from tests.evaluation.commands import Answer, call
from tests.scoring.golden import GOLDEN, Case, read_cases

CACHES = GOLDEN / "devkit_caches"
TOKENS = ("cda81d1f8f086f50", "63f9a7c95e8529c2", "c4e35d9c0a84ec7d")  # the first two are half a second apart
EXTENDED = "two_frame_extended_comfort"


@pytest.fixture(scope="module")
def cases() -> List[Case]:
    """The golden cases of the shipped caches, the later scenes first."""
    return [case for case in reversed(read_cases(GOLDEN / "cases.json.gz")) if case["token"] in TOKENS]


def write(folder: Path, cases: List[Case]) -> Path:
    """A file of trajectories."""
    path = folder / "plans.json"
    path.write_text(json.dumps([{key: case[key] for key in ("token", "name", "poses", "sampling")} for case in cases]))
    return path


def score(folder: Path, cases: List[Case], caches: Path, *options: object) -> Answer:
    """The command."""
    return call("score", "--trajectories", write(folder, cases), "--metric-cache", caches, "--workers", 1, *options)


def test_pdms(tmp_path: Path, cases: List[Case]) -> None:
    answer = score(tmp_path, cases, CACHES / "v1.1")
    assert answer.status == 0, answer.err
    rows: List[Dict[str, Any]] = json.loads(answer.out)
    assert [(row["token"], row["name"]) for row in rows] == [(case["token"], case["name"]) for case in cases]
    assert [row["score"] for row in rows] == pytest.approx([case["v1"]["score"] for case in cases], abs=1e-6)
    assert {row["log"] for row in rows} == {path.name for path in (CACHES / "v1.1").iterdir()}


def test_epdms_with_the_scene_before(tmp_path: Path, cases: List[Case]) -> None:
    answer = score(tmp_path, cases, CACHES / "v2.2", "--metric", "epdms-v2.2")
    assert answer.status == 0, answer.err
    known = {(case["token"], case["name"]) for case in cases}
    paired = 0
    for row, case in zip(json.loads(answer.out), cases):
        official = case["v2"]
        if official["EC"] is None or (official["prev_token"], case["name"]) in known:
            assert row[EXTENDED] == official["EC"]
            assert row["score"] == pytest.approx(official["final"], abs=1e-6)
            paired += official["EC"] is not None
        else:
            assert row[EXTENDED] is None
    assert paired > 10


def test_what_does_not_fit(tmp_path: Path, cases: List[Case]) -> None:
    assert "reference plan of v2.2 only, that of v1.1" in score(tmp_path, cases, CACHES / "v2.2").error
    assert "expected metric caches of the devkit, <log>/" in score(tmp_path, cases, tmp_path).error
    assert "takes the place of --data" in score(tmp_path, cases, CACHES / "v1.1", "--data", tmp_path).error
    stranger = [{**cases[0], "token": "0" * 16}]
    error = score(tmp_path, stranger, CACHES / "v1.1").error
    assert f"plans.json: token {'0' * 16} has no metric cache in {CACHES / 'v1.1'}" in error


def test_a_broken_cache_costs_its_scene(tmp_path: Path, cases: List[Case]) -> None:
    folder = tmp_path / "caches"
    for token in TOKENS[:2]:
        (source,) = (CACHES / "v2.2").rglob(f"{token}/metric_cache.pkl")
        copy = folder / source.relative_to(CACHES / "v2.2")
        copy.parent.mkdir(parents=True)
        copy.write_bytes(source.read_bytes() if token != TOKENS[0] else source.read_bytes()[:1000])
    pair = [case for case in cases if case["token"] in TOKENS[:2]]
    answer = score(tmp_path, pair, folder, "--metric", "epdms-v2.2")
    assert answer.status == 1 and "truncated" in answer.err
    for row in json.loads(answer.out):
        assert row["valid"] == (row["token"] != TOKENS[0]) and row[EXTENDED] is None
