"""Planning and scoring as stages: every scene once, in any executor, and on from where a run was cut off."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, Generator, List, Sequence

import pytest

from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation import stage_loop
from latentvla_agent.evaluation.plan_details import read_details
from latentvla_agent.evaluation.planning import PlanItem
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.stage_loop import PREDICTIONS, SCORES, StageLoop
from latentvla_agent.evaluation.stages import ScoreItem
from latentvla_agent.evaluation.workers import Outcome
from latentvla_agent.scoring.versions import NUSCENES_METRIC

AGENTS = ("one", "two")
REFS = tuple(SceneRef(Path("log"), "log", number, f"t{number}", "city", None) for number in range(6))
KEYS = {(agent, ref.token) for agent in AGENTS for ref in REFS}


class Executor:
    """Handles everything in this process; keeps the items, and its outcomes, so that only `close` ends them."""

    def __init__(self, failing: Sequence[str] = (), error: str = "ValueError: bad") -> None:
        self.items: List[Any] = []
        self.is_closed = False
        self._failing, self._error = failing, error

    def __call__(self, chunks: List[List[Any]], factory: Any, num_workers: int, time_limit: float) -> Any:
        """Outcomes in order."""
        self._outcomes = self._handle([item for chunk in chunks for item in chunk], factory())
        return self._outcomes

    def _handle(self, items: List[Any], handler: Any) -> Generator[Outcome[Any], None, None]:
        try:
            for item in items:
                self.items.append(item)
                bad = item.ref.token in self._failing
                yield Outcome(item, error=self._error) if bad else Outcome(item, result=handler(item))
        finally:
            self.is_closed = True


def plan(item: PlanItem) -> Dict[str, Any]:
    """A plan that tells of which scene it is, with details."""
    details = {"codes": [item.ref.start], "code_shares": [1.0], "transitions": 1}
    return {"agent": item.agent, "poses": [[float(item.ref.start), 0.0, 0.0]], "interval": 0.5, "details": details}


def score(item: ScoreItem) -> List[Dict[str, Any]]:
    """A row of each agent."""
    return [ResultRow(item.ref.token, "log", name, 0.5).to_json(NUSCENES_METRIC) for name in AGENTS]


def make_planner() -> Any:
    return plan


def make_silent_planner() -> Any:
    """A planner that tells no details."""
    return lambda item: {key: value for key, value in plan(item).items() if key != "details"}


def make_scorer() -> Any:
    return score


def make_trouble() -> Any:
    """A planner for worker processes that hangs in one scene and raises in another."""

    def handle(item: PlanItem) -> Dict[str, Any]:
        if item.ref.token == "t1":
            time.sleep(3600.0)
        if item.ref.token == "t2":
            raise ValueError("no plan\nat all")
        return plan(item)

    return handle


@pytest.fixture()
def executor(monkeypatch: pytest.MonkeyPatch) -> Executor:
    return use(monkeypatch, Executor())


def use(monkeypatch: pytest.MonkeyPatch, executor: Executor) -> Executor:
    monkeypatch.setitem(stage_loop.EXECUTORS, "processes", executor)
    return executor


def make_loop(out: Path, identity: str = "a", **options: Any) -> StageLoop:
    return StageLoop(out, {"run": identity}, REFS, AGENTS, workers=1, time_limit=60.0, **options)


def test_every_agent_plans_in_every_scene_once(tmp_path: Path, executor: Executor) -> None:
    found = make_loop(tmp_path).plan(make_planner)
    assert set(found) == KEYS and [item.agent for item in executor.items] == ["one"] * 6 + ["two"] * 6
    assert found[("two", "t3")] == {"agent": "two", "poses": [[3.0, 0.0, 0.0]], "interval": 0.5}
    assert read_details(tmp_path) == {} and not (tmp_path / "details.journal").exists()


def test_a_finished_run_plans_nothing_again_and_another_is_refused(
    tmp_path: Path, executor: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make_loop(tmp_path).plan(make_planner)
    executor.items.clear()
    assert make_loop(tmp_path).plan(make_planner) == first and executor.items == []
    assert "plan: all 12 from the journal" in capsys.readouterr().err
    with pytest.raises(DataError, match="belongs to a run with another run"):
        make_loop(tmp_path, "b").plan(make_planner)


def test_a_run_that_was_cut_off_ends_its_workers_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes while the fifth plan is handled."""
    broken = use(monkeypatch, Executor())

    def interrupt(_: Any, token: str, __: Any) -> None:
        if token == "t4":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stage_loop, "keep_details", interrupt)
        make_loop(tmp_path).plan(make_planner)
    assert broken.is_closed and len(broken.items) == 5
    second = use(monkeypatch, Executor())
    assert set(make_loop(tmp_path).plan(make_planner)) == KEYS
    assert [(item.agent, item.ref.token) for item in second.items[:3]] == [("one", "t4"), ("one", "t5"), ("two", "t0")]


def test_a_failed_plan_is_kept_with_its_reason_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Executor(failing=["t2"]))
    found = make_loop(tmp_path).plan(make_planner)
    assert found[("one", "t2")] == {"agent": "one", "error": "ValueError: bad"}
    assert sum("error" in prediction for prediction in found.values()) == 2
    again = use(monkeypatch, Executor())
    assert make_loop(tmp_path).plan(make_planner) == found and again.items == []
    assert "plan: all 12 from the journal, 2 failed" in capsys.readouterr().err


def test_a_failed_plan_is_tried_again_where_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Executor(failing=["t2"]))
    make_loop(tmp_path).plan(make_planner)
    again = use(monkeypatch, Executor())
    found = make_loop(tmp_path, retry_failed=True).plan(make_planner)
    assert [item.ref.token for item in again.items] == ["t2", "t2"] and "poses" in found[("one", "t2")]


@pytest.mark.parametrize(
    "error", ["timed out after 8 s", "the worker died twice (exit code -9)", "the worker died twice"]
)
def test_what_the_infrastructure_failed_at_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    use(monkeypatch, Executor(failing=["t2"], error=error))
    found = make_loop(tmp_path).plan(make_planner)
    assert found[("one", "t2")] == {"agent": "one", "error": error}, "in this run it counts as failed"
    again = use(monkeypatch, Executor())
    found = make_loop(tmp_path).plan(make_planner)
    assert [(item.agent, item.ref.token) for item in again.items] == [("one", "t2"), ("two", "t2")]
    assert set(found) == KEYS and not any("error" in prediction for prediction in found.values())
    last = use(monkeypatch, Executor())
    assert make_loop(tmp_path).plan(make_planner) == found and last.items == []


def test_a_damaged_line_is_named_and_done_again(
    tmp_path: Path, executor: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make_loop(tmp_path).plan(make_planner)
    path = tmp_path / PREDICTIONS
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"2.0", b"9.0")  # after the header: t2 of the first agent
    path.write_bytes(b"".join(lines))
    executor.items.clear()
    assert make_loop(tmp_path).plan(make_planner) == first
    assert [(item.agent, item.ref.token) for item in executor.items] == [("one", "t2")]
    assert f"{path}: damaged line(s) 4; these scenes are done again" in capsys.readouterr().err


def test_batches_never_mix_agents_and_sensors_come_from_partners(tmp_path: Path, executor: Executor) -> None:
    make_loop(tmp_path, batch_size=3, partners={"t0": REFS[5]}).plan(make_planner)
    ahead = {(item.agent, item.ref.token): [other.ref.token for other in item.ahead] for item in executor.items}
    assert ahead[("one", "t0")] == ["t1", "t2"] and ahead[("one", "t1")] == []
    assert all(other.agent == item.agent for item in executor.items for other in item.ahead)
    assert [item.sensors_of for item in executor.items[:2]] == [REFS[5], None]


def test_details_are_kept_apart_where_they_are_wanted(tmp_path: Path, executor: Executor) -> None:
    found = make_loop(tmp_path, keep_details=True).plan(make_planner)
    assert not any("details" in prediction for prediction in found.values())
    assert set(read_details(tmp_path)) == KEYS and read_details(tmp_path)[("two", "t5")]["codes"] == [5]


def test_plans_are_made_again_for_their_details(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run kept none; of an agent that tells none there is nothing to make again a second time."""
    use(monkeypatch, Executor(failing=["t3"]))
    before = make_loop(tmp_path).plan(make_planner)
    executor = use(monkeypatch, Executor())
    assert make_loop(tmp_path, keep_details=True).plan(make_silent_planner) == before
    assert len(executor.items) == 10, "all but those that failed"
    executor = use(monkeypatch, Executor())
    assert make_loop(tmp_path, keep_details=True).plan(make_planner) == before and executor.items == []
    assert read_details(tmp_path) == {}


def test_scores_have_a_row_of_every_agent_and_are_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Executor(failing=["t1"]))
    found = make_loop(tmp_path).score(NUSCENES_METRIC, ScoreItem, make_scorer)
    assert list(found) == [ref.token for ref in REFS] and found["t0"] == score(ScoreItem(REFS[0]))
    failed = [ResultRow.from_json(row, NUSCENES_METRIC) for row in found["t1"]]
    assert failed == [ResultRow("t1", "log", name, error="ValueError: bad") for name in AGENTS]
    again = use(monkeypatch, Executor())
    assert make_loop(tmp_path).score(NUSCENES_METRIC, ScoreItem, make_scorer) == found and again.items == []
    assert (tmp_path / SCORES).exists() and not (tmp_path / PREDICTIONS).exists()


def test_scores_of_other_plans_are_made_again(tmp_path: Path, executor: Executor) -> None:
    """As where `predictions.journal` was deleted, or a plan that had timed out was made at last."""

    def make_items(**poses: float) -> Any:
        return lambda ref: ScoreItem(ref, ({"agent": "one", "poses": [poses.get(ref.token, 0.0)], "interval": 0.5},))

    make_loop(tmp_path).score(NUSCENES_METRIC, make_items(), make_scorer)
    executor.items.clear()
    for expected in (["t2"], []):
        make_loop(tmp_path).score(NUSCENES_METRIC, make_items(t2=1.0), make_scorer)
        assert [item.ref.token for item in executor.items] == expected
        executor.items.clear()


def test_a_scene_whose_scoring_timed_out_is_scored_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Executor(failing=["t1"], error="timed out after 8 s"))
    found = make_loop(tmp_path).score(NUSCENES_METRIC, ScoreItem, make_scorer)
    assert [row["error"] for row in found["t1"]] == ["timed out after 8 s"] * 2
    again = use(monkeypatch, Executor())
    found = make_loop(tmp_path).score(NUSCENES_METRIC, ScoreItem, make_scorer)
    assert [item.ref.token for item in again.items] == ["t1"] and found["t1"] == score(ScoreItem(REFS[1]))


@pytest.mark.parametrize("ahead, expected", [(True, ["t1", "t2", "t3"]), (False, [])])
def test_items_know_what_comes_only_where_it_is_asked_for(
    tmp_path: Path, executor: Executor, ahead: bool, expected: List[str]
) -> None:
    make_loop(tmp_path).score(NUSCENES_METRIC, ScoreItem, make_scorer, ahead=ahead)
    assert [other.ref.token for other in executor.items[0].ahead] == expected  # of its chunk of four


@pytest.mark.slow
def test_workers_that_hang_or_raise_cost_only_their_scenes(tmp_path: Path) -> None:
    loop = StageLoop(tmp_path, {"run": "a"}, REFS[:4], ["one"], workers=1, time_limit=1.0)
    found = loop.plan(make_trouble)
    assert found[("one", "t1")] == {"agent": "one", "error": "timed out after 1 s"}
    assert found[("one", "t2")] == {"agent": "one", "error": "ValueError: no plan"}
    assert [found[("one", token)]["poses"][0][0] for token in ("t0", "t3")] == [0.0, 3.0]
