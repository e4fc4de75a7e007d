"""Which events are made for which egos."""

from __future__ import annotations

import numpy as np
import pytest

from latentvla_agent.errors import ConfigError
from latentvla_agent.world.events import KINDS, EventConfig, count_events, make_directors

ALL_KINDS = {
    "lead_brakes_hard",
    "cut_in",
    "pedestrian_steps_out",
    "stalled_vehicle",
    "cones",
    "red_light_runner",
    "wrong_way_vehicle",
    "blocked_intersection",
    "roundabout_entry",
}


def draw(config: EventConfig, number: int = 200, seed: int = 0) -> list:
    egos = [f"ego_{index}" for index in range(number)]
    return make_directors(config, egos, np.random.Generator(np.random.PCG64(seed)))


def test_all_kinds_have_a_director() -> None:
    assert set(KINDS) == ALL_KINDS


def test_shares_are_kept() -> None:
    directors = draw(EventConfig(shares=(("cut_in", 3.0), ("cones", 1.0)), none_share=4.0))
    counts = count_events(directors)
    assert 70 < len(directors) < 130
    assert counts["cut_in"][0] > 2 * counts["cones"][0] > 0
    assert all(happened == 0 for _, happened in counts.values())


def test_the_same_seed_gives_the_same_kinds() -> None:
    config = EventConfig(shares=(("cut_in", 1.0), ("cones", 1.0), ("wrong_way_vehicle", 1.0)))
    kinds = [[(item.ego, item.kind) for item in draw(config, 20, seed)] for seed in (4, 4, 5)]
    assert kinds[0] == kinds[1] != kinds[2]


def test_several_kinds_for_one_ego_are_different() -> None:
    config = EventConfig(shares=(("cut_in", 1.0), ("cones", 1.0)), kinds_per_ego=3)
    assert sorted(item.kind for item in draw(config, 1)) == ["cones", "cut_in"]


def test_no_shares_no_events() -> None:
    assert draw(EventConfig()) == []


def test_an_unknown_kind_is_named_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'cut_in'"):
        draw(EventConfig(shares=(("cutin", 1.0),)))
    with pytest.raises(ConfigError, match="at least 0"):
        draw(EventConfig(shares=(("cut_in", -1.0),)))
