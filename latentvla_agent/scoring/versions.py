"""The two generations of the PDM score and where they differ."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Dict, Mapping, Tuple

from latentvla_agent.data.scene import LOG_INTERVAL_S
from latentvla_agent.errors import ConfigError
from latentvla_agent.scoring.config import NUM_STATES


@dataclass(frozen=True)
class Rules:
    """How one generation scores a rollout; the same rules choose its reference plan.

    `observed_s`: how far tracks are observed. `ttc_steps`: steps at which time to collision is checked.
    `drops_touching`: objects that touch the ego at the start are removed. `excuses_intersections`: driving direction
    does not count there. `has_lights`, `has_lane_keeping`: sub-scores of their own. `history_comfort`: comfort is
    judged with the driven history in front, at the box centre, and over shorter filter windows.
    """

    generation: int
    observed_s: float
    ttc_steps: int
    drops_touching: bool
    excuses_intersections: bool
    has_lights: bool
    has_lane_keeping: bool
    history_comfort: bool

    @property
    def name(self) -> str:
        """NAVSIM's version."""
        return "v1.1" if self.generation == 1 else "v2.2"

    @property
    def future_frames(self) -> int:
        """Frames of the log after the current one that a scene must have to be scored."""
        return int(round(self.observed_s / LOG_INTERVAL_S))


V1 = Rules(1, 5.0, NUM_STATES, False, False, False, False, False)
V2 = Rules(2, 4.0, NUM_STATES - 9, True, True, True, True, True)
GENERATIONS = (V1, V2)

_SHARED = ("no_at_fault_collisions", "drivable_area_compliance", "driving_direction_compliance")
_PDMS_COLUMNS = _SHARED + ("ego_progress", "time_to_collision_within_bound", "comfort")
_EPDMS_COLUMNS = _SHARED + (
    "traffic_light_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "lane_keeping",
    "history_comfort",
    "two_frame_extended_comfort",
)


@dataclass(frozen=True)
class Metric:
    """A published score: its name, rules, columns, and what the human filter does.

    The filter sets a sub-score that the human gets exactly 0 for to 1. Until it was mended in v2.2 (navsim pull 151)
    it changed the columns but not the total: `epdms-v2.2-prefix`.
    """

    name: str
    title: str
    rules: Rules
    columns: Tuple[str, ...]
    filters_columns: bool = False
    filters_total: bool = False

    @property
    def has_predecessors(self) -> bool:
        """Whether a scene is also compared with the one half a second before."""
        return "two_frame_extended_comfort" in self.columns


METRICS: Dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("pdms-v1.1", "PDMS", V1, _PDMS_COLUMNS),
        Metric("epdms-v2.2", "EPDMS", V2, _EPDMS_COLUMNS, True, True),
        Metric("epdms-v2.2-prefix", "EPDMS (before the filter fix)", V2, _EPDMS_COLUMNS, True, False),
    )
}

# The score of v1.1 on nuScenes: other data, another car, routes found from the drive. Never beside one of NAVSIM.
NUSCENES_METRIC = Metric("pdms-nuscenes", "PDMS on nuScenes", V1, _PDMS_COLUMNS)
ALL_METRICS: Dict[str, Metric] = {**METRICS, NUSCENES_METRIC.name: NUSCENES_METRIC}


def find_metric(name: str, known: Mapping[str, Metric] = METRICS) -> Metric:
    """The metric of that name, by default one of NAVSIM's; raises `ConfigError` with a suggestion."""
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f", did you mean {close[0]}?" if close else f"; there are: {', '.join(known)}"
        raise ConfigError(f"unknown metric {name!r}{hint}")
    return known[name]
