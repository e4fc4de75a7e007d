"""Training seeds: told by name, drawn as a level of their own, and one result each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.comparison_files import make_scores, write_run
from tests.evaluation.test_comparison import put_together, refusal


def test_several_results_of_an_agent_are_training_seeds(tmp_path: Path) -> None:
    shifts = (-0.1, 0.0, 0.1)
    runs = [
        write_run(tmp_path / str(i), {"a": make_scores(shift), "b": make_scores()}) for i, shift in enumerate(shifts)
    ]
    comparison = put_together(*runs)
    a, b = comparison["agents"]
    assert comparison["seeds"] == 3 and comparison["seeds_by_agent"] == {"a": 3, "b": 1}, "b is the same three times"
    assert comparison["resampled_levels"] == "logs, then scenes, then seeds"
    assert a["score"] == pytest.approx(b["score"])
    assert a["high"] - a["low"] > b["high"] - b["low"]
    (pair,) = comparison["differences"]
    assert pair["low"] == pytest.approx(-0.1) and pair["high"] == pytest.approx(0.1)
    assert sum("counted once" in note for note in comparison["notes"]) == 2
    assert any(note.startswith("a: taken as 3 training seeds") for note in comparison["notes"])


def test_seeds_are_told_by_the_name_and_shown_in_their_order(tmp_path: Path) -> None:
    named = {f"a-seed{number}": make_scores(0.1 * number) for number in (2, 0, 1)}
    comparison = put_together(write_run(tmp_path, {**named, "b": make_scores()}))
    assert comparison["seeds_by_agent"] == {"a": 3, "b": 1} and comparison["seeds"] == 3
    assert comparison["seed_numbers_by_agent"] == {"a": [0, 1, 2], "b": [None]}
    scores = comparison["seed_scores_by_agent"]["a"]
    assert np.diff(scores) == pytest.approx([0.1, 0.1]) and comparison["agents"][0]["score"] == pytest.approx(scores[1])
    (note,) = comparison["notes"]
    assert note.startswith("a: taken as 3 training seeds: 0 of ") and f"({100 * scores[2]:.2f})" in note


def test_a_degraded_run_is_no_training_seed_of_the_intact_one(tmp_path: Path) -> None:
    intact = write_run(tmp_path / "intact", {"a-seed0": make_scores()})
    foggy = write_run(
        tmp_path / "foggy", {"a-seed0": make_scores(-0.2), "a-seed1": make_scores(-0.1)}, degradation="fog"
    )
    comparison = put_together(intact, foggy)
    assert comparison["seed_numbers_by_agent"] == {"a": [0], "a (fog)": [0, 1]}
    assert comparison["differences"][0]["mean"] == pytest.approx(0.15)
    assert "name them apart" in refusal(f"a={intact}", f"a={foggy}")
    assert put_together(f"a={intact}", f"foggy={foggy}")["seeds_by_agent"] == {"a": 1, "foggy": 2}


def test_one_seed_can_have_one_result(tmp_path: Path) -> None:
    first, second = (
        write_run(tmp_path / str(shift), {"a-seed0": make_scores(shift), "a-seed1": make_scores(0.2)})
        for shift in (0.0, 0.1)
    )
    assert "expected another training seed than" in refusal(first, second) and "both are seed 0 of a" in refusal(
        first, second
    )
    assert put_together(first, first)["seeds_by_agent"] == {"a": 2}, "the same again is no other seed"
