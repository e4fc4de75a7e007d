"""The choice of scenes: enough of them, of enough logs, every rare kind equally, and never dependent on later towns."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import List, Sequence, Tuple

from hypothesis import given
from hypothesis import strategies as st

from latentvla_agent.world.selection import choose_scenes, count_chosen, count_kinds, find_kind
from latentvla_agent.world.splits import SplitConfig, WindowRules, make_edition
from latentvla_agent.world.windows import Window

PLAIN = SplitConfig("plain", seed=1, scenes=12, rules=WindowRules(), min_logs=4)
BALANCED = SplitConfig(
    "balanced",
    seed=1,
    scenes=6,
    rules=WindowRules(),
    events=(("cones", 0.5), ("cut_in", 0.5)),
    weather=(("clear", 0.5), ("fog", 0.5)),
    balance=True,
)
KINDS = st.sampled_from([(), ("cones",), ("cut_in",), ("fog",), ("cut_in", "fog"), ("unknown",)])
TOWNS = st.lists(st.lists(st.tuples(st.integers(0, 3), KINDS), max_size=12), max_size=8)


def make_town(number: int, windows: Sequence[Tuple[int, Tuple[str, ...]]]) -> List[Window]:
    return [
        Window(f"{number}-{index}", f"town{number}-log{log}", index, kinds)
        for index, (log, kinds) in enumerate(windows)
    ]


@given(TOWNS, st.integers(1, 12), st.sampled_from([PLAIN, BALANCED]))
def test_more_towns_never_change_a_choice(
    content: List[List[Tuple[int, Tuple[str, ...]]]], scenes: int, config: SplitConfig
) -> None:
    towns = [make_town(number, windows) for number, windows in enumerate(content)]
    resized = replace(config, scenes=scenes)
    for count in range(len(towns)):
        early = choose_scenes(resized, towns[:count])
        if early is not None:
            assert choose_scenes(resized, towns) == early


@given(TOWNS, st.integers(1, 12))
def test_a_choice_has_enough_scenes_of_enough_logs(
    content: List[List[Tuple[int, Tuple[str, ...]]]], scenes: int
) -> None:
    config = make_edition(PLAIN, scenes)
    chosen = choose_scenes(config, [make_town(number, windows) for number, windows in enumerate(content)])
    if chosen is not None:
        logs = {window.log for window in chosen}
        assert len(chosen) >= scenes and len(logs) >= PLAIN.min_logs * scenes / PLAIN.scenes
        assert len({window.token for window in chosen}) == len(chosen)


def test_a_plain_split_takes_windows_in_order_and_no_more_than_it_needs() -> None:
    town = make_town(0, [(index % 4, ()) for index in range(20)])
    assert choose_scenes(PLAIN, [town]) == town[:12]
    assert choose_scenes(PLAIN, [make_town(0, [(0, ())] * 20)]) is None  # one log only


def test_a_balanced_split_has_every_kind_equally_often() -> None:
    town = make_town(0, [(0, ("cones",))] * 5 + [(1, ())] * 5 + [(2, ("cut_in", "fog"))] * 5 + [(3, ("fog",))] * 2)
    chosen = choose_scenes(BALANCED, [town])
    assert chosen is not None
    assert Counter(find_kind(window) for window in chosen) == {"cones": 2, "cut_in": 2, "fog": 2}
    larger = replace(BALANCED, scenes=9)
    assert choose_scenes(larger, [town]) is None and count_chosen(larger, [town]) == 8


@given(TOWNS, st.integers(1, 12), st.sampled_from([PLAIN, BALANCED]))
def test_an_edition_has_scenes_of_the_split_that_it_is_part_of(
    content: List[List[Tuple[int, Tuple[str, ...]]]], scenes: int, config: SplitConfig
) -> None:
    towns = [make_town(number, windows) for number, windows in enumerate(content)]
    chosen = choose_scenes(make_edition(config, min(scenes, config.scenes)), towns)
    all_of_it = choose_scenes(config, towns)
    if all_of_it is not None:
        assert chosen is not None and {window.token for window in chosen} <= {window.token for window in all_of_it}


def test_kinds_are_counted_as_the_split_names_them() -> None:
    town = make_town(0, [(0, ("cut_in", "fog")), (0, ("fog",)), (0, ("unknown",))])
    assert count_kinds(BALANCED, [town]) == {"cones": 0, "cut_in": 1, "fog": 2}


def test_a_kind_that_is_too_rare_is_made_up_for_by_the_others() -> None:
    town = make_town(0, [(0, ("cones",))] * 9 + [(1, ("cut_in",))] * 2 + [(2, ("fog",))] * 9)
    lenient = replace(BALANCED, scenes=12, least_share=0.5)
    chosen = choose_scenes(lenient, [town])
    assert chosen is not None
    assert Counter(find_kind(window) for window in chosen) == {"cones": 5, "cut_in": 2, "fog": 5}
    assert choose_scenes(replace(lenient, least_share=0.6), [town]) is None
