"""The splits of the embedded world keep what the experiments need of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from latentvla_agent.errors import ConfigError
from latentvla_agent.world.manifest import describe_world
from latentvla_agent.world.splits import ALL_EVENTS, RARE_WEATHER, SPLITS, find_split_config, parse_size
from latentvla_agent.world.towns import Town


def test_sizes_are_those_of_the_experiments() -> None:
    least = {"minitown-train": 4000, "minitown-unlabelled": 12000, "minitown-val": 300, "minitown-longtail": 600}
    assert all(SPLITS[name].scenes >= count for name, count in least.items())
    assert SPLITS["minitown-val"].min_logs >= 75 and SPLITS["minitown-longtail"].min_logs >= 150


def test_every_split_has_a_seed_of_its_own() -> None:
    assert len({config.seed for config in SPLITS.values()}) == len(SPLITS)


def test_shares_add_up() -> None:
    for config in SPLITS.values():
        assert sum(share for _, share in config.events) == pytest.approx(1.0), config.name
        assert sum(share for _, share in config.weather) == pytest.approx(1.0), config.name


def test_evaluation_windows_are_few_per_log_and_apart() -> None:
    for name in ("minitown-val", "minitown-longtail", "minitown-dev", "minitown-longtail-dev"):
        rules = SPLITS[name].rules
        assert rules.per_log is not None and rules.per_log <= 4 and rules.min_gap >= 4, name
        assert rules.max_constant_velocity <= 0.8 and rules.min_human >= 0.8, name
    learnt_from = SPLITS["minitown-unlabelled"].rules
    assert not learnt_from.is_scored and not learnt_from.events_first


def test_some_kinds_are_unlabelled_only_and_some_nowhere_but_in_the_long_tail() -> None:
    train, unlabelled = (set(SPLITS[f"minitown-{name}"].rare_kinds) for name in ("train", "unlabelled"))
    longtail = set(SPLITS["minitown-longtail"].rare_kinds)
    assert longtail == {*ALL_EVENTS, *RARE_WEATHER}
    assert train < unlabelled < longtail
    assert longtail - unlabelled - set(SPLITS["minitown-longtail-dev"].rare_kinds)


def test_an_unknown_split_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'minitown-val'"):
        find_split_config("minitown-vall")


def test_an_edition_has_a_name_of_its_own_and_the_towns_of_its_split() -> None:
    edition = find_split_config("minitown-longtail-200")
    assert (edition.name, edition.scenes, edition.min_logs) == ("minitown-longtail-200", 200, 50)
    assert edition.family == "minitown-longtail" and edition.seed == SPLITS["minitown-longtail"].seed
    assert Town(edition, 3).name == Town(SPLITS["minitown-longtail"], 3).name
    assert find_split_config("minitown-longtail-600") == SPLITS["minitown-longtail"]


@pytest.mark.parametrize("scenes", [0, 601])
def test_an_edition_is_no_larger_than_its_split(scenes: int) -> None:
    with pytest.raises(ConfigError, match=f"expected 1 to 600 scenes, got {scenes}"):
        find_split_config(f"minitown-longtail-{scenes}")


def test_pictures_of_another_size_go_into_another_folder_and_the_manifest_tells(tmp_path: Path) -> None:
    config = SPLITS["minitown-val"]
    larger = replace(config, picture_size=parse_size("1920x1080"))
    assert (config.folder, larger.folder) == ("minitown-val", "minitown-val_1920x1080")
    sizes = [describe_world(tmp_path, each, {})["picture_size"] for each in (config, larger)]
    assert sizes == [[480, 270], [1920, 1080]]


@pytest.mark.parametrize(
    "text", ["", "x", "1920", "1920x", "1920X1080", "1920x1080x3", "-480x270", "480x2.5", "8x270", "480x9999"]
)
def test_a_size_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="--size: expected WIDTHxHEIGHT of 16 to 4096 px"):
        parse_size(text)
