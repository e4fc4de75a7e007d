"""Golden cases and how our scores are held against them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

import numpy as np

from latentvla_agent.data.scene import Trajectory, TrajectorySampling
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.scorer import PreviousPlan, Scorer, Scores

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"

Case = Dict[str, Any]

COMMON_COLUMNS = {
    "NC": "no_at_fault_collisions",
    "DAC": "drivable_area_compliance",
    "DDC": "driving_direction_compliance",
    "TTC": "time_to_collision_within_bound",
    "EP": "ego_progress",
}
V1_COLUMNS = {**COMMON_COLUMNS, "C": "comfort"}
V2_COLUMNS = {**COMMON_COLUMNS, "TLC": "traffic_light_compliance", "LK": "lane_keeping", "HC": "history_comfort"}

# An object dead ahead, in whose cosine the last bit decides (see `bearing`): the devkit's TTC, recorded as 0 at step
# 11, is 1 on other processors, and so is ours. No score depends on it.
HINGES_ON_PROCESSOR = ("ec40a682debfa8f0", "accel4")


def read_cases(path: Path) -> List[Case]:
    """Golden cases of a `.json.gz`."""
    with gzip.open(path, "rt") as file:
        cases: List[Case] = json.load(file)
    return cases


def to_trajectory(case: Case) -> Trajectory:
    """The trajectory of a case."""
    sampling = TrajectorySampling(case["sampling"]["num_poses"], case["sampling"]["interval"])
    return Trajectory(np.array(case["poses"]), sampling)


@dataclass
class Comparison:
    """Scores cases one by one and keeps what differs: discrete values at all, EP, totals and metres by over 1e-6.

    `caches` by token must hold the scenes of all cases. `cases` are all cases of the set, also those that are only
    the predecessor of another.
    """

    caches: Mapping[str, MetricCache]
    cases: Iterable[Case]
    differences: List[Tuple[Any, ...]] = field(default_factory=list)
    compared: "Counter[str]" = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._by_name = {(case["token"], case["name"]): case for case in self.cases}
        self._v1, self._v2 = Scorer("pdms-v1.1"), Scorer("epdms-v2.2")
        self._unfiltered = Scorer("epdms-v2.2", human_filter=False)

    def compare_v1(self, case: Case) -> None:
        """PDMS v1.1."""
        ours, official = (self._v1.score_trajectory(self.caches[case["token"]], to_trajectory(case)), case["v1"])
        self._check_columns(case, "v1", V1_COLUMNS, ours, official)
        self._check(case, "v1.score", ours.score[0], official["score"], 1e-6)
        self._check_progress_and_steps(case, "v1", ours, official)

    def compare_v2(self, case: Case) -> None:
        """EPDMS v2.2: before the human filter, after it, EC, and the final score."""
        cache, trajectory, official = (self.caches[case["token"]], to_trajectory(case), case["v2"])
        raw = self._unfiltered.score_trajectory(cache, trajectory)
        self._check_columns(case, "v2.nofilter", V2_COLUMNS, raw, official["nofilter"])
        self._check(case, "v2.nofilter.pdm_score", raw.score[0], official["nofilter"]["pdm_score"], 1e-6)
        ours = self._v2.score_trajectory(cache, trajectory, self._previous_plan(case))
        self._check_columns(case, "v2.filtered", V2_COLUMNS, ours, official["filtered"])
        extended_comfort = np.nan if official["EC"] is None else official["EC"]
        self._check(case, "v2.EC", ours.sub_scores["two_frame_extended_comfort"][0], extended_comfort, 0.0)
        self._check(case, "v2.final", ours.score[0], official["final"], 1e-6)
        self._check_progress_and_steps(case, "v2", ours, official)

    def _previous_plan(self, case: Case) -> Optional[PreviousPlan]:
        previous = self._by_name.get((case["v2"]["prev_token"], case["name"]))
        if previous is None:
            return None
        cache, trajectory = self.caches[previous["token"]], to_trajectory(previous)
        rollouts = self._v2.simulate(cache, trajectory.poses[None], trajectory.trajectory_sampling)
        return PreviousPlan(rollouts.states, cache.timestamp)

    def _check_columns(self, case: Case, where: str, columns: Dict[str, str], ours: Scores, official: Case) -> None:
        for key, name in columns.items():
            tolerance = 1e-6 if key == "EP" else 0.0
            self._check(case, f"{where}.{key}", ours.sub_scores[name][0], official[key], tolerance)

    def _check_progress_and_steps(self, case: Case, where: str, ours: Scores, official: Case) -> None:
        for i, metres in enumerate(official["progress_raw"]):
            self._check(case, f"{where}.progress_raw", ours.progress_raw[0, i], metres, 1e-6)
        for key in ("collision_idx", "ttc_idx"):
            step = official[key][1]
            self._check(case, f"{where}.{key}", getattr(ours, key)[0], -1 if step is None else step, 0.0)

    def _check(self, case: Case, name: str, ours: float, official: float, tolerance: float) -> None:
        if name.lower().split(".")[-1].startswith("ttc") and (case["token"], case["name"]) == HINGES_ON_PROCESSOR:
            return
        self.compared[name] += 1
        if np.isnan(official) and np.isnan(ours):
            return
        if not abs(ours - official) <= tolerance:
            self.differences.append((case["token"], case["name"], name, float(ours), official))
