"""Splits of the user's own: every entry is a field, and what isn't is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentvla_agent.errors import ConfigError
from latentvla_agent.world.split_files import read_split_file
from latentvla_agent.world.splits import SPLITS, make_edition
from latentvla_agent.world.towns import Town

HEAD = "name: minitown-mine\nseed: 9\nscenes: 12\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def test_shares_rules_and_sizes_are_the_users(tmp_path: Path) -> None:
    text = HEAD + (
        "like: minitown-longtail\nevents: {none: 1, cut_in: 3}\nweather: {fog: 1}\nduration_s: 40\n"
        "rules: {min_human: 0.9, per_log: null}\nmin_logs: 3\n"
    )
    config = read_split_file(write(tmp_path, text))
    base = SPLITS["minitown-longtail"]
    assert (config.name, config.seed, config.scenes, config.min_logs) == ("minitown-mine", 9, 12, 3)
    assert config.events == (("none", 0.25), ("cut_in", 0.75)) and config.weather == (("fog", 1.0),)
    assert isinstance(config.duration_s, float) and config.balance == base.balance and config.egos == base.egos
    assert config.rules.min_human == 0.9 and config.rules.per_log is None
    assert config.rules.max_stop == base.rules.max_stop
    assert make_edition(config, 4).name == "minitown-mine-4" and Town(config, 1).name == "minitown-mine-001"


def test_roads_of_an_opendrive_map_lie_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "town.xodr").write_text("<OpenDRIVE/>")
    config = read_split_file(write(tmp_path, HEAD + "opendrive: maps/town.xodr\n"))
    assert config.opendrive == str(tmp_path / "maps" / "town.xodr")


@pytest.mark.parametrize(
    "text, message",
    [
        ("name: minitown-mine\nseed: 9\n", "expected an entry 'scenes'"),
        (HEAD + "evnts: {}", "unknown entry 'evnts'; did you mean 'events'"),
        (HEAD + "part_of: minitown-val", "unknown entry 'part_of'"),
        (HEAD + "events: {cut_on: 1}", "unknown entry 'cut_on'; did you mean 'cut_in'"),
        (HEAD + "weather: {snow: 1}", "unknown entry 'snow'; did you mean|known: clear"),
        (HEAD + "weather: {fog: -1, rain: 2}", "weather: expected shares of at least 0"),
        (HEAD + "weather: {fog: 0}", "not all 0"),
        (HEAD + "weather: {fog: a lot}", "weather: fog: expected float, got 'a lot'"),
        (HEAD + "rules: {min_humn: 1}", "unknown entry 'min_humn'; did you mean 'min_human'"),
        (HEAD + "rules: {per_log: 2.5}", "rules: per_log: expected int, got 2.5"),
        (HEAD + "like: minitown-vale", "unknown entry 'minitown-vale'; did you mean 'minitown-val'"),
        ("name: minitown-mine\nseed: 505\nscenes: 12\n", "seed: 505 is that of minitown-val, whose towns"),
        (HEAD + "egos: true", "egos: expected int, got True"),
        (HEAD + "opendrive: none.xodr", "opendrive: expected a file, got nothing at .*none.xodr"),
        (HEAD + "balance: true", "balance: expected shares of events or rare weather"),
        (HEAD.replace("minitown-mine", "mine"), "name: expected minitown-"),
        (HEAD.replace("minitown-mine", "minitown-../x"), "name: expected minitown-"),
        (HEAD.replace("minitown-mine", "minitown-val"), "is that of a published split"),
        (HEAD.replace("minitown-mine", "minitown-val-9"), "or of an edition of it"),
        ("- a list", "content: expected dict"),
        ("a: [", "not a readable YAML file"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_split_file(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none.yaml: not a readable YAML file"):
        read_split_file(tmp_path / "none.yaml")
