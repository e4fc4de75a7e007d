"""Results are read as they were written, and whatever is wrong with a file is one line that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from latentvla_agent.errors import LatentVLAError
from latentvla_agent.evaluation.comparison_sources import read_results
from latentvla_agent.scoring.versions import METRICS
from tests.evaluation.comparison_files import TOKENS, make_scores, write_run, write_stock, write_two_stage

FAILED: Dict[str, Any] = {**make_scores(), TOKENS[3]: None}


def test_a_run_is_read_from_its_folder_and_from_its_csv(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", {"a": make_scores(), "b": FAILED})
    first, second = read_results(str(folder))
    assert [(one.agent, one.failed, one.is_stock) for one in (first, second)] == [("a", 0, False), ("b", 1, False)]
    assert second.means["score"] == pytest.approx(sum(score or 0.0 for score in FAILED.values()) / len(TOKENS))
    assert second.rows[3].score == 0.0 and second.rows[3].error == "ValueError: no"
    assert read_results(str(folder / "scores.csv")) == [first, second]


def test_a_csv_that_was_kept_alone_is_read_and_noted(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", {"a-seed3": make_scores(), "b": FAILED})
    wanted = read_results(str(folder))
    kept = tmp_path / "kept.csv"
    kept.write_bytes((folder / "scores.csv").read_bytes())
    found = read_results(str(kept))
    assert [(one.agent, one.seed, one.rows, one.means) for one in found] == [
        (one.agent, one.seed, one.rows, one.means) for one in wanted
    ]
    assert all("no summary.json" in note for one in found for note in one.notes)
    assert "split" not in found[0].facts, "nobody knows it"
    other = write_run(tmp_path / "other", {"a": make_scores()}, "epdms-v2.2") / "scores.csv"
    with pytest.raises(LatentVLAError, match="its rows don't tell one stage from two"):
        read_results(str(other.rename(tmp_path / "alone.csv")))


@pytest.mark.parametrize("metric", ["pdms-v1.1", "epdms-v2.2"])
def test_a_stock_csv_is_told_by_its_columns(tmp_path: Path, metric: str) -> None:
    (result,) = read_results(str(write_stock(tmp_path / "some.csv", FAILED, metric)))
    assert (result.agent, result.metric.name, result.facts["scorer"]) == ("some", metric, "official")
    assert [row.token for row in result.rows] == TOKENS and result.failed == 1 and result.notes == ()
    valid = [score for score in FAILED.values() if score is not None]
    assert result.means["score"] == pytest.approx(sum(valid) / len(TOKENS)), "a failed scene counts 0"
    assert result.means["ego_progress"] == pytest.approx(sum(valid) / len(valid)), "and has no sub-scores"


def test_the_name_comes_from_the_user_else_from_the_experiment(tmp_path: Path) -> None:
    path = write_stock(tmp_path / "mine" / "2025.01.02.03.04.05" / "2025.01.02.03.04.59.csv", make_scores())
    assert read_results(str(path))[0].agent == "mine"
    assert read_results(f"other={path}")[0].agent == "other"
    odd = write_stock(tmp_path / "with=sign.csv", make_scores())
    assert read_results(str(odd))[0].agent == "with=sign"


def test_a_run_of_one_agent_can_be_named(tmp_path: Path) -> None:
    assert read_results(f"new={write_run(tmp_path, {'a': make_scores()})}")[0].agent == "new"
    write_run(tmp_path, {"a": make_scores(), "b": make_scores()})
    with pytest.raises(LatentVLAError, match="a name is for a result of one agent, this one has 2"):
        read_results(f"new={tmp_path}")


@pytest.mark.parametrize(
    "own, name, expected",
    [
        ("ipad", "other", ("other", None)),
        ("ipad", "other-seed3", ("other", 3)),
        ("ipad-seed1", "other", ("other", 1)),
        ("ipad-seed1", "other.seed2", ("other", 2)),
    ],
)
def test_a_seed_can_be_said_by_the_user(tmp_path: Path, own: str, name: str, expected: Any) -> None:
    (result,) = read_results(f"{name}={write_run(tmp_path, {own: make_scores()})}")
    assert (result.agent, result.seed) == expected and result.own_name == own


def test_a_run_of_several_seeds_can_be_named(tmp_path: Path) -> None:
    path = write_run(tmp_path, {"ipad-seed0": make_scores(), "ipad-seed1": make_scores()})
    assert [(result.agent, result.seed) for result in read_results(f"mine={path}")] == [("mine", 0), ("mine", 1)]


def test_byte_order_mark_line_ends_and_missing_index_are_fine(tmp_path: Path) -> None:
    path = write_stock(tmp_path / "a.csv", make_scores())
    expected = read_results(str(path))[0]
    text = path.read_text()
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_results(str(path))[0].rows == expected.rows
    path.write_text("\n".join(line.partition(",")[2] for line in text.splitlines()))
    assert read_results(str(path))[0].rows == expected.rows


def test_the_old_convention_is_the_users_to_say(tmp_path: Path) -> None:
    path = write_stock(tmp_path / "a.csv", make_scores(), "epdms-v2.2")
    prefix = METRICS["epdms-v2.2-prefix"]
    assert read_results(str(path), prefix)[0].metric == prefix
    with pytest.raises(LatentVLAError, match="expected --metric pdms-v1.1, got results of epdms-v2.2"):
        read_results(str(path), METRICS["pdms-v1.1"])


def test_two_stages_keep_the_devkits_combined_score(tmp_path: Path) -> None:
    first = {token: 0.5 for token in TOKENS}
    second = {f"{i:017x}": 0.4 for i in range(3)}
    (result,) = read_results(str(write_two_stage(tmp_path / "a.csv", first, second, 0.45)))
    assert result.two_stage and result.metric.name == "epdms-v2.2" and len(result.rows) == 23
    assert result.means["score"] == 0.45 and result.means["lane_keeping_stage_two"] == 0.5
    failed = write_two_stage(tmp_path / "b.csv", {**first, TOKENS[0]: None}, second, 0.45)
    with pytest.raises(
        LatentVLAError, match="1 scenes failed, and extended_pdm_score_combined leaves their groups out"
    ):
        read_results(str(failed))


def test_two_stages_of_our_own_keep_it_too(tmp_path: Path) -> None:
    path = write_run(tmp_path, {"a": make_scores()}, "epdms-v2.2", scorer="official") / "summary.json"
    summary = json.loads(path.read_text())
    stages = {stage: dict.fromkeys(METRICS["epdms-v2.2"].columns, 0.5) for stage in ("stage_one", "stage_two")}
    summary["agents"][0].update(score=0.2, **stages)
    path.write_text(json.dumps(summary))
    (result,) = read_results(str(tmp_path))
    assert result.two_stage and result.facts["stages"] == "2"
    assert result.means["score"] == 0.2 and result.means["lane_keeping_stage_two"] == 0.5
    summary["agents"][0].update(score=0.0, stage_one=None, stage_two=None)  # it failed in a scene
    path.write_text(json.dumps(summary))
    assert set(read_results(str(tmp_path))[0].means.values()) == {0.0, None}
    summary["agents"][0].update(score="high")
    path.write_text(json.dumps(summary))
    with pytest.raises(LatentVLAError, match="expected scores of two stages in summary.json"):
        read_results(str(tmp_path))


def test_what_a_run_lost_is_noted(tmp_path: Path) -> None:
    write_run(tmp_path, {"a": make_scores()}, missing_tokens=3, missing_logs=["x"])
    notes = read_results(str(tmp_path))[0].notes
    assert notes == (f"{tmp_path} is incomplete: 1 missing log", f"{tmp_path} is incomplete: 3 missing scenes")


def test_costs_are_read_from_the_summary(tmp_path: Path) -> None:
    write_run(tmp_path, {"a": make_scores()})
    summary = json.loads((tmp_path / "summary.json").read_text())
    summary["agents"][0].update(total_ms=1.5, parameters=7, tokens_ms=None)
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    assert read_results(str(tmp_path))[0].costs == {"total_ms": 1.5, "parameters": 7}


Damage = Callable[[List[str]], Any]  # the lines of a CSV, changed in place or replaced


def replace_cell(line: int, column: int, cell: str) -> Damage:
    """Write into one cell."""

    def damage(lines: List[str]) -> None:
        cells = lines[line].split(",")
        cells[column] = cell
        lines[line] = ",".join(cells)

    return damage


STOCK_FAULTS: Dict[str, Any] = {
    "empty": (lambda lines: [], "expected a line of column names, got an empty file"),
    "only a header": (lambda lines: lines[:1], "expected scenes of a, got none"),
    "only means": (lambda lines: [lines[0], lines[-1]], "expected scenes of a, got none"),
    "other columns": (lambda lines: ["x,y", "1,2"], "expected a CSV of latentvla eval .* or of NAVSIM"),
    "no score": (replace_cell(0, 9, "points"), "missing column score"),
    "no token": (replace_cell(0, 1, "scene"), "missing column token"),
    "a column twice": (replace_cell(0, 9, "comfort"), "two columns are called 'comfort'"),
    "a short line": (lambda lines: [*lines[:5], lines[5][:20]], r"line 6: expected 10 cells, got \d"),
    "token twice": (lambda lines: lines.insert(3, lines[2]), f"token {TOKENS[1]} is there twice for a"),
    "empty token": (replace_cell(2, 1, ""), "line 3: expected a token"),
    "valid is odd": (replace_cell(2, 2, "maybe"), "line 3: valid: expected True or False, got 'maybe'"),
    "NaN in a valid row": (replace_cell(2, 9, "nan"), "line 3: score: expected a score between 0 and 1, got 'nan'"),
    "infinite": (replace_cell(2, 9, "inf"), "line 3: score: .* got 'inf'"),
    "empty score": (replace_cell(2, 9, ""), "line 3: score: .* got ''"),
    "times 100": (replace_cell(2, 9, "85.7"), "line 3: score: .* got '85.7'"),
    "negative": (replace_cell(2, 4, "-0.5"), "line 3: drivable_area_compliance: .* got '-0.5'"),
    "text": (replace_cell(2, 4, "good"), "line 3: drivable_area_compliance: .* got 'good'"),
    "rows cut out": (lambda lines: lines[:4] + lines[10:], "expected a mean score of .*; rows are missing"),
    "open quote": (lambda lines: [lines[0], '"' + lines[1]], "not a readable CSV in UTF-8"),
}


@pytest.mark.parametrize("fault", STOCK_FAULTS)
def test_faults_of_a_stock_csv_are_named(tmp_path: Path, fault: str) -> None:
    path = write_stock(tmp_path / "a.csv", make_scores())
    damage, message = STOCK_FAULTS[fault]
    lines = path.read_text().splitlines()
    changed = damage(lines)
    path.write_text("\n".join(lines if changed is None else changed))
    with pytest.raises(LatentVLAError, match=message) as error:
        read_results(str(path))
    assert str(error.value).startswith(str(path))


def test_binary_and_absent_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("token,valid".encode("utf-16"))
    with pytest.raises(LatentVLAError, match="not a readable CSV in UTF-8"):
        read_results(str(path))
    with pytest.raises(LatentVLAError, match="b.csv: cannot be read .No such file"):
        read_results(str(tmp_path / "b.csv"))
    with pytest.raises(LatentVLAError, match="expected a finished result of latentvla eval"):
        read_results(str(tmp_path))
    with pytest.raises(LatentVLAError, match="expected PATH or NAME=PATH"):
        read_results("name=")


def test_a_csv_without_means_is_noted(tmp_path: Path) -> None:
    path = write_stock(tmp_path / "a.csv", make_scores())
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    assert "nobody can see whether it is complete" in read_results(str(path))[0].notes[0]


SUMMARY_FAULTS: Dict[str, Any] = {
    "not JSON": ("{", "not a readable JSON file"),
    "a list": ("[]", "expected the summary of latentvla eval, got list"),
    "no metric": ({"metric": None}, "metric: expected str, got NoneType"),
    "unknown metric": ({"metric": "pdms-v1.2"}, "unknown metric 'pdms-v1.2', did you mean pdms-v1.1?"),
    "odd degradation": ({"degradation": 3}, "degradation: expected a name or null, got 3"),
    "no agents": ({"agents": []}, "agents: expected at least one"),
    "agents are text": ({"agents": ["a"]}, "agents: expected at least one, each with its name"),
    "other agent": ({"agents": [{"agent": "z"}]}, "agent 'a' is not in summary.json"),
    "other score": ({"agents": [{"agent": "a", "score": 0.9}]}, "expected a mean of 0.9 for a.*not of one run"),
    "no score": ({"agents": [{"agent": "a", "score": "x"}]}, "expected a mean of x for a"),
    "other columns": ({"metric": "epdms-v2.2"}, "missing columns traffic_light_compliance, lane_keeping"),
}


@pytest.mark.parametrize("fault", SUMMARY_FAULTS)
def test_faults_of_a_summary_are_named(tmp_path: Path, fault: str) -> None:
    content, message = SUMMARY_FAULTS[fault]
    path = write_run(tmp_path, {"a": make_scores()}) / "summary.json"
    path.write_text(content if isinstance(content, str) else json.dumps({**json.loads(path.read_text()), **content}))
    with pytest.raises(LatentVLAError, match=message):
        read_results(str(tmp_path))


def test_a_summary_must_be_there(tmp_path: Path) -> None:
    (write_run(tmp_path, {"a": make_scores()}) / "summary.json").unlink()
    with pytest.raises(LatentVLAError, match="summary.json: expected beside scores.csv, cannot be read"):
        read_results(str(tmp_path))
