"""What sets the generations apart, and the names of the metrics."""

from __future__ import annotations

import pytest

from latentvla_agent.errors import ConfigError
from latentvla_agent.scoring.scorer import COLUMN_OF, Scorer
from latentvla_agent.scoring.versions import GENERATIONS, METRICS, V1, V2, find_metric
from tests.scoring.scenes import make_cache, straight_plan

PDMS = [
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "driving_direction_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "comfort",
]
EPDMS = [
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "driving_direction_compliance",
    "traffic_light_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "lane_keeping",
    "history_comfort",
    "two_frame_extended_comfort",
]


def test_names() -> None:
    assert list(METRICS) == ["pdms-v1.1", "epdms-v2.2", "epdms-v2.2-prefix"]
    assert all(find_metric(name).name == name for name in METRICS)


@pytest.mark.parametrize(
    ("name", "columns"), [("pdms-v1.1", PDMS), ("epdms-v2.2", EPDMS), ("epdms-v2.2-prefix", EPDMS)]
)
def test_columns_are_the_devkit_s_in_its_order(name: str, columns: list) -> None:
    assert list(Scorer(name).score(make_cache(), straight_plan(5.0)).sub_scores) == columns
    assert set(columns) - set(COLUMN_OF) <= {"ego_progress", "two_frame_extended_comfort"}


def test_references_are_stored_by_generation() -> None:
    assert GENERATIONS == (V1, V2) and [rules.generation for rules in GENERATIONS] == [1, 2]
    assert {name: metric.rules.generation for name, metric in METRICS.items()} == {
        "pdms-v1.1": 1,
        "epdms-v2.2": 2,
        "epdms-v2.2-prefix": 2,
    }


def test_only_the_mended_filter_changes_the_total() -> None:
    switches = {name: (metric.filters_columns, metric.filters_total) for name, metric in METRICS.items()}
    assert switches == {"pdms-v1.1": (False, False), "epdms-v2.2": (True, True), "epdms-v2.2-prefix": (True, False)}


def test_time_to_collision_never_looks_beyond_what_is_observed() -> None:
    for rules in GENERATIONS:
        assert (rules.ttc_steps - 1 + 9) * 0.1 <= rules.observed_s + 1e-9


@pytest.mark.parametrize(
    ("name", "hint"), [("epdms-v2", "epdms-v2.2"), ("pdms-v1", "pdms-v1.1"), ("epdms-v2.2-prefx", "epdms-v2.2-prefix")]
)
def test_near_misses_come_with_a_suggestion(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown metric {name!r}, did you mean {hint}"):
        find_metric(name)


def test_other_names_come_with_the_list() -> None:
    with pytest.raises(
        ConfigError, match="unknown metric 'accuracy'; there are: pdms-v1.1, epdms-v2.2, epdms-v2.2-prefix"
    ):
        find_metric("accuracy")
