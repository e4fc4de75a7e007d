"""Scenes where agents differ: the largest differences in both directions, over all seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from latentvla_agent.evaluation.comparison import choose_agents
from latentvla_agent.evaluation.comparison_examples import MAX_PAIRS, find_examples
from latentvla_agent.evaluation.comparison_sources import read_results
from tests.evaluation.comparison_files import LOGS, TOKENS, make_scores, write_run, write_two_stage


def find(*paths: Path, count: int = 3) -> List[Dict[str, Any]]:
    """Examples of all agents in these files."""
    groups = choose_agents([result for path in paths for result in read_results(str(path))])
    return find_examples(groups, LOGS, count)


def test_both_directions_the_largest_first(tmp_path: Path) -> None:
    a, b = make_scores(), make_scores()
    for token, gap in zip(TOKENS, (0.1, 0.3, 0.2, 0.05, -0.2, -0.1)):
        b[token] = (a[token] or 0.0) - gap
    examples = find(write_run(tmp_path, {"a": a, "b": b}), count=3)
    assert [example["token"] for example in examples] == [TOKENS[i] for i in (1, 2, 0, 4, 5)], "equal ones are left out"
    assert [example["difference"] for example in examples] == pytest.approx([0.3, 0.2, 0.1, -0.2, -0.1])
    first = examples[0]
    assert (first["a"], first["b"], first["log"]) == ("a", "b", LOGS[TOKENS[1]])
    assert first["score_a"] - first["score_b"] == pytest.approx(0.3)
    assert first["sub_scores_b"]["comfort"] == pytest.approx(first["score_b"])
    assert json.loads(json.dumps(examples, allow_nan=False)) == examples
    assert find(tmp_path, count=0) == []


def test_seeds_are_averaged(tmp_path: Path) -> None:
    """One seed is better in a scene and the other as much worse: no difference. Where both are better there is one."""
    runs = []
    for number, gap in enumerate((0.4, -0.4)):
        scores = make_scores()
        scores[TOKENS[0]] = (scores[TOKENS[0]] or 0.0) + gap / 2.0
        scores[TOKENS[1]] = (scores[TOKENS[1]] or 0.0) + 0.2
        runs.append(write_run(tmp_path / str(number), {"a": scores, f"b-seed{number}": make_scores(0.001 * number)}))
    ahead = [example for example in find(*runs) if example["difference"] > 0.0]
    assert [example["token"] for example in ahead] == [TOKENS[1]]


def test_a_failed_scene_counts_0_and_has_no_sub_scores(tmp_path: Path) -> None:
    failing: Dict[str, Any] = {**make_scores(), TOKENS[3]: None}
    (example,) = find(write_run(tmp_path, {"a": failing, "b": make_scores()}))
    assert (example["token"], example["score_a"], example["sub_scores_a"]) == (TOKENS[3], 0.0, {})


def test_many_agents_and_two_stages(tmp_path: Path) -> None:
    agents = {f"agent{i}": make_scores(0.01 * i) for i in range(7)}
    examples = find(write_run(tmp_path / "run", agents), count=1)
    assert len({(example["a"], example["b"]) for example in examples}) == MAX_PAIRS < 21
    scenes = {token: 0.5 for token in TOKENS}
    paths = [write_two_stage(tmp_path / f"{name}.csv", scenes, {}, 0.5) for name in "ab"]
    assert find(*paths) == [], "the score is of groups of scenes"
