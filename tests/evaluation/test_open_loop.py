"""Open-loop metrics on plans with known answers, by each of the rules."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np
import pytest

from latentvla_agent.data.logs import read_log
from latentvla_agent.data.nuscenes.database import FutureTruth, NuScenesDatabase
from latentvla_agent.data.nuscenes.records import DriveRecord
from latentvla_agent.data.scene import Trajectory, TrajectorySampling, frame_from_log
from latentvla_agent.errors import ConfigError, DataError, TrajectoryError
from latentvla_agent.evaluation.open_loop import measure_plans, read_plans, sample_plan
from latentvla_agent.evaluation.open_loop_collisions import find_collisions, overlap_exactly
from latentvla_agent.evaluation.open_loop_rules import RULES, STANDARDISED, UNIAD, VAD
from latentvla_agent.evaluation.open_loop_summary import compare_plans, evaluate_open_loop, summarise_plans
from tests.data.log_factory import SHARED_DATA
from tests.data.nuscenes.drives import VERSION, write_drives

CAR = (4.5, 1.9)
REAL_LOGS = sorted((SHARED_DATA / "real" / "dev" / "navsim_logs" / "dev").glob("nuscenes-mini-*.pkl"))


def make_truth(
    token: str = "a", *, steps: int = 6, boxes: Sequence[Any] = (), category: str = "vehicle.car", speed: float = 5.0
) -> FutureTruth:
    """A human who drives straight on; `boxes` (x, y, heading, length, width) stand there at every step."""
    valid = np.arange(6) < steps
    poses = np.where(valid[:, None], drive_straight(speed), np.nan)
    table = np.array(boxes, float).reshape(-1, 5)
    return FutureTruth(token, f"log-{token}", poses, valid, [table] * steps, [[category] * len(table)] * steps)


def drive_straight(speed: float, side: Any = 0.0, heading: float = 0.0) -> Any:
    x = 0.5 * speed * np.arange(1, 7)
    return np.column_stack([x, np.broadcast_to(side, 6), np.full(6, heading)])


def make_plan(poses: Any) -> Trajectory:
    return Trajectory(np.asarray(poses), TrajectorySampling(len(poses), 0.5))


def evaluate(truths: Sequence[FutureTruth], plans: Dict[str, Any]) -> Dict[str, Any]:
    return evaluate_open_loop(truths, {token: make_plan(poses) for token, poses in plans.items()})


def test_both_conventions_come_from_one_file(tmp_path: Path) -> None:
    """Off to the side by .1, .2 … .6 m: at 1, 2, 3 s it is .2, .4, .6 m, up to there .15, .25, .35 m on the mean."""
    side = 0.1 * np.arange(1, 7)
    poses = np.vstack([drive_straight(5.0, side), np.full((2, 3), 99.0)])  # NAVSIM's plan goes on to 4 s
    path = tmp_path / "plans.json"
    path.write_text(json.dumps([{"token": "a", "name": "me", "poses": poses.tolist()}]))
    result = evaluate_open_loop([make_truth()], read_plans(path))
    for name in RULES:
        assert result[name]["l2_m"]["at"] == pytest.approx({"1s": 0.2, "2s": 0.4, "3s": 0.6, "avg": 0.4})
        assert result[name]["l2_m"]["up_to"] == pytest.approx({"1s": 0.15, "2s": 0.25, "3s": 0.35, "avg": 0.25})
        assert result[name]["collision_rate"]["up_to"]["avg"] == 0.0
    assert [result[name]["rules"]["headline"] for name in ("uniad", "vad")] == ["at", "up_to"]
    assert result["uniad"]["l2_m_interval"] == pytest.approx([0.4, 0.4])
    assert result["vad"]["l2_m_interval"] == pytest.approx([0.25, 0.25])
    json.dumps(result)


def test_collisions_in_both_conventions() -> None:
    """A plan that is beside the human's lane from 2.5 s on, where something is parked: steps 5 and 6 of 6."""
    truth = make_truth(boxes=[(13.8, 4.0, 0.0, *CAR)])
    side = np.array([0.0, 0.0, 0.0, 0.0, 4.0, 4.0])
    for name, found in evaluate([truth], {"a": drive_straight(5.0, side)}).items():
        if name in RULES:
            assert found["collision_rate"]["at"] == pytest.approx({"1s": 0, "2s": 0, "3s": 1, "avg": 1 / 3})
            assert found["collision_rate"]["up_to"] == pytest.approx({"1s": 0, "2s": 0, "3s": 2 / 6, "avg": 1 / 9})


def test_ends_of_drives_count_as_each_protocol_has_it() -> None:
    """The second of two samples ends after 1.5 s: UniAD's code takes what is missing as driven without error."""
    truths = [make_truth("a"), make_truth("b", steps=3)]
    found = evaluate(truths, {"a": drive_straight(5.0, 1.0), "b": drive_straight(5.0, 2.0)})
    assert found["uniad"]["num_counted"] == {"1s": 2, "2s": 2, "3s": 2}
    assert found["vad"]["num_counted"] == {"1s": 1, "2s": 1, "3s": 1}
    assert found["standardised"]["num_counted"] == {"1s": 2, "2s": 1, "3s": 1}
    at = {name: found[name]["l2_m"]["at"] for name in RULES}
    assert [at["uniad"][horizon] for horizon in ("1s", "2s", "3s")] == pytest.approx([1.5, 0.5, 0.5])
    assert [at["vad"][horizon] for horizon in ("1s", "2s", "3s")] == pytest.approx([1.0, 1.0, 1.0])
    assert [at["standardised"][horizon] for horizon in ("1s", "2s", "3s")] == pytest.approx([1.5, 1.0, 1.0])
    assert found["standardised"]["l2_m"]["up_to"]["3s"] == pytest.approx((3 * 1.5 + 3 * 1.0) / 6)


def make_drives() -> List[FutureTruth]:
    """Eight drives of five samples: two with the whole horizon to come, then one step less each."""
    return [
        replace(make_truth(f"{drive}-{k}", steps=min(6, 7 - k)), log_name=str(drive))
        for drive in range(8)
        for k in range(5)
    ]


def test_an_interval_is_of_the_number_beside_it() -> None:
    """Plans err more where a drive ends: samples without 3 s to come are in the mean, and so in its interval."""
    rng = np.random.default_rng(0)
    truths = make_drives()
    sides = [rng.uniform(0.9, 1.1) * (1.0 if truth.valid.all() else 4.0) for truth in truths]
    near, far = (
        {truth.token: make_plan(drive_straight(5.0, factor * side)) for truth, side in zip(truths, sides)}
        for factor in (1.0, 1.5)
    )
    measured = [measure_plans(truths, plans) for plans in (near, far)]
    for name, own in summarise_plans(measured[0]).items():
        if name in RULES:
            low, high = own["l2_m_interval"]
            assert low <= own["l2_m"][own["rules"]["headline"]]["avg"] <= high, name
    means = [summarise_plans(each)["standardised"]["l2_m"]["at"]["avg"] for each in measured]
    found = compare_plans(*measured)["standardised"]["l2_m"]
    assert found["mean"] == pytest.approx(means[1] - means[0]) and found["low"] <= found["mean"] <= found["high"]
    assert found["num_samples"] == 40
    with pytest.raises(ValueError, match="same samples"):
        compare_plans(measured[0], measure_plans(truths[1:], {}))


def test_nothing_that_counts_is_none_and_not_zero() -> None:
    found = evaluate([make_truth(steps=2)], {"a": drive_straight(5.0)})
    assert found["vad"]["l2_m"]["at"]["1s"] is None and found["vad"]["l2_m_interval"] is None


@pytest.mark.parametrize(
    ("category", "hit"),
    [
        ("vehicle.car", ["uniad", "vad", "standardised"]),
        ("human.pedestrian.child", ["vad", "standardised"]),
        ("vehicle.emergency.police", ["vad", "standardised"]),
        ("movable_object.barrier", []),
    ],
)
def test_objects_are_those_of_the_protocol(category: str, hit: List[str]) -> None:
    truth = make_truth(boxes=[(15.0, 4.0, 0.0, *CAR)], category=category)
    found = evaluate([truth], {"a": drive_straight(5.0, 4.0)})
    assert [name for name in RULES if found[name]["collision_rate"]["at"]["3s"] > 0] == hit


def test_the_planned_heading_counts_only_where_the_rules_say() -> None:
    """Turned by 90 degrees, the ego reaches 3.5 m to its left, and no more to the front."""
    truth = make_truth(boxes=[(15.0, 3.2, 0.0, 1.0, 1.0)])
    found = evaluate([truth], {"a": drive_straight(5.0, 0.0, np.pi / 2)})
    assert [found[name]["collision_rate"]["at"]["3s"] for name in RULES] == [0.0, 0.0, 1.0]


def test_what_the_human_hits_is_no_collision_and_counted() -> None:
    truth = make_truth(boxes=[(15.0, 0.0, 0.0, *CAR)])
    found = evaluate([truth], {"a": drive_straight(5.0)})
    for name in RULES:
        assert found[name]["collision_rate"]["at"]["3s"] == 0.0
        assert found[name]["num_human_collisions"] == 3  # at 10, 12.5 and 15 m


def test_missing_plans_stand_still_and_are_listed() -> None:
    truths = [make_truth("a"), make_truth("b")]
    found = evaluate(truths, {"a": drive_straight(5.0, 1.0)})
    assert (found["num_samples"], found["num_failed"], found["failed"]) == (2, 1, ["b"])
    assert found["uniad"]["l2_m"]["at"]["3s"] == pytest.approx((1.0 + 15.0) / 2)
    assert found["uniad"]["planned_only"]["l2_m"]["at"]["3s"] == pytest.approx(1.0)
    assert found["uniad"]["planned_only"]["num_counted"]["3s"] == 1


def test_the_point_that_is_compared_lies_ahead_of_the_rear_axle() -> None:
    plan = {"a": drive_straight(5.0, 0.0, 0.1)}
    distance = 2.0 * 0.94 * np.sin(0.05)
    assert evaluate([make_truth()], plan)["uniad"]["l2_m"]["at"]["3s"] == pytest.approx(distance)
    rear = replace(UNIAD, reference=0.0)
    found = evaluate_open_loop([make_truth()], {"a": make_plan(plan["a"])}, [rear])
    assert found["uniad"]["l2_m"]["at"]["3s"] == 0.0


@pytest.mark.parametrize("gap", [-0.02, 0.02])
def test_exact_boxes_touch_where_they_should(gap: float) -> None:
    """A car ahead, and one beside, `gap` [m] from the ego that stands: its box begins 1.44 - 4.084 / 2 m ahead."""
    ahead = 1.44 + 4.084 / 2 + gap + CAR[0] / 2
    beside = 1.85 / 2 + gap + CAR[1] / 2
    for place in ((ahead, 0.0), (1.44, beside)):
        truth = make_truth(boxes=[(*place, 0.0, *CAR)])
        assert find_collisions(np.zeros((1, 6, 3)), [truth], STANDARDISED).all() == (gap < 0)


def test_turned_boxes_overlap_exactly() -> None:
    square, diamond = [[0.0, 0.0, 0.0, 2.0, 2.0]], [[2.3, 0.0, np.pi / 4, 2.0, 2.0]]
    assert overlap_exactly(np.array(square), np.array(diamond)).tolist() == [True]  # its corner is at .89
    assert overlap_exactly(np.array(square), np.array([[2.3, 0.0, 0.0, 2.0, 2.0]])).tolist() == [False]
    assert overlap_exactly(np.array(square), np.array([[2.3, 2.3, np.pi / 4, 2.0, 2.0]])).tolist() == [False]


def test_a_grid_grows_objects_by_up_to_a_cell() -> None:
    """Boxes in cells agree with exact ones but near the edge: never apart by a cell and a half."""
    random = np.random.default_rng(0)
    places = np.column_stack([random.uniform(-8, 12, 400), random.uniform(-6, 6, 400), random.uniform(-3, 3, 400)])
    for place in places:
        truth = make_truth(boxes=[(*place, *CAR)])
        in_cells = find_collisions(np.zeros((1, 6, 3)), [truth], VAD)[0, 0]
        slim, wide = (
            find_collisions(np.zeros((1, 6, 3)), [make_truth(boxes=[(*place, *np.add(CAR, grown))])], straight)[0, 0]
            for grown, straight in ((-1.5, replace(STANDARDISED, name="x")), (1.5, replace(STANDARDISED, name="x")))
        )
        assert slim <= in_cells <= wide
    assert UNIAD.cell == 0.5


def test_the_ego_is_32_cells() -> None:
    """Of half a metre, 8 x 4, as in the published code: an object of a point's size is hit in as much of the road."""
    size = 0.02
    grid = [(x, y) for x in np.arange(-3, 6, 0.5) + 0.94 for y in np.arange(-3, 3, 0.5)]
    truths = [make_truth(str(number), boxes=[(*place, 0.0, size, size)]) for number, place in enumerate(grid)]
    assert find_collisions(np.zeros((len(grid), 6, 3)), truths, UNIAD)[:, 0].sum() == 32


def test_plans_are_read_at_half_seconds() -> None:
    fine = Trajectory(np.column_stack([np.arange(1, 41) * 0.1, np.zeros((40, 2))]), TrajectorySampling(40, 0.1))
    np.testing.assert_allclose(sample_plan("a", fine)[:, 0], [0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
    for sampling in (TrajectorySampling(5, 0.5), TrajectorySampling(40, 0.3), TrajectorySampling(8, 1.0)):
        with pytest.raises(TrajectoryError, match="every half second up to 3 s"):
            sample_plan("a", Trajectory(np.zeros((sampling.num_poses, 3)), sampling))


def write_plans(path: Path, *names: str) -> Path:
    path.write_text(json.dumps([{"token": "a", "name": name, "poses": [[0, 0, 0]] * 8} for name in names]))
    return path


def test_files_of_several_plans_need_a_name(tmp_path: Path) -> None:
    path = write_plans(tmp_path / "plans.json", "x", "y")
    assert list(read_plans(path, "y")) == ["a"]
    with pytest.raises(DataError, match="of one name, or to be told which, got x, y"):
        read_plans(path)
    with pytest.raises(DataError, match="called z"):
        read_plans(path, "z")
    with pytest.raises(DataError, match="two of a"):
        read_plans(write_plans(path, "x", "x"))


def test_plans_of_no_sample_are_refused() -> None:
    with pytest.raises(DataError, match="plans of others, such as b"):
        evaluate([make_truth("a")], {"b": drive_straight(5.0)})
    with pytest.raises(DataError, match="each once"):
        evaluate([make_truth("a"), make_truth("a")], {})
    with pytest.raises(DataError, match="6 steps"):
        evaluate([replace(make_truth("a"), boxes=[])], {})


def test_rules_are_checked() -> None:
    with pytest.raises(ConfigError, match="does not turn"):
        replace(UNIAD, turns=True)
    with pytest.raises(ConfigError, match="above 0 m"):
        replace(UNIAD, ego_width=0.0)


def plan_from_ego_status(database: NuScenesDatabase, tokens: Sequence[str]) -> Dict[str, Trajectory]:
    """Constant velocity, from the agent's own input."""
    plans = {}
    for token in tokens:
        velocity = database.load(token).get_agent_input().ego_statuses[-1].ego_velocity
        steps = 0.5 * np.arange(1, 9)[:, None]
        plans[token] = make_plan(np.column_stack([steps * velocity, np.zeros(8)]))
    return plans


@pytest.mark.slow
@pytest.mark.skipif(len(REAL_LOGS) != 7, reason=f"expected seven real nuScenes logs in {SHARED_DATA}/real/dev")
def test_real_drives(tmp_path: Path) -> None:
    """What is known of nuScenes: the human does not err, constant velocity is a few metres off after 3 s."""
    drives = [
        DriveRecord(path.stem, path.stem, "unknown", [frame_from_log(entry) for entry in read_log(path)])
        for path in REAL_LOGS
    ]
    database = NuScenesDatabase(write_drives(tmp_path, *drives), VERSION)
    tokens = database.sample_tokens()
    truths = [database.load_truth(token) for token in tokens]
    human = {
        truth.token: make_plan(np.where(truth.valid[:, None], truth.poses, 0.0))
        for truth in truths
        if truth.valid.any()
    }
    found = evaluate_open_loop(truths, human)
    assert (found["num_samples"], found["num_failed"]) == (282, 7)  # the last of each drive has no future
    for name in RULES:
        assert found[name]["l2_m"]["up_to"]["avg"] == 0.0 and found[name]["collision_rate"]["at"]["3s"] == 0.0
    assert found["vad"]["num_counted"]["3s"] == 282 - 7 * 6 and found["uniad"]["num_counted"]["3s"] == 282
    assert found["standardised"]["num_human_collisions"] <= found["vad"]["num_human_collisions"]
    constant = evaluate_open_loop(truths, plan_from_ego_status(database, tokens))
    l2 = constant["vad"]["l2_m"]["at"]
    assert l2["1s"] < l2["2s"] < l2["3s"] and 0.1 < l2["1s"] < 0.8 and 1.0 < l2["3s"] < 5.0
    assert constant["uniad"]["l2_m"]["at"]["3s"] < l2["3s"]  # zeros at the ends of drives flatter
