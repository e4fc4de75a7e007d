"""A town: logs, a map and windows of one seed, the same bytes on every machine, there only when all of it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Dict

import numpy as np
import pytest

from latentvla_agent.data.logs import read_log
from latentvla_agent.data.maps import MapStore
from latentvla_agent.world import towns
from latentvla_agent.world.roads.config import NetworkConfig
from latentvla_agent.world.splits import SPLITS
from latentvla_agent.world.towns import CORNERS, LOGS_FOLDER, MAPS_FOLDER, SPACING_M, Town, build_town, read_windows
from tests.world.small_world import SMALL, TOWNS, digest_town

# Of the small towns as this code makes them. Whoever changes the code on purpose changes them, and the manifests too.
DIGESTS = {
    0: "7f37908ed67711d819c9bce78a1515d4ce3c9c3ba9b21b3d749714dfba598d75",
    4: "d28305cdcf3647ac15368cbcf3a6399d270a5347fb57dc79b253514e88355cd2",
}


def test_towns_are_the_same_on_every_machine(small_towns: Dict[Town, Path]) -> None:
    assert {town.number: digest_town(folder) for town, folder in small_towns.items()} == DIGESTS


def test_towns_have_seeds_places_and_ids_of_their_own() -> None:
    config = SPLITS["minitown-longtail"]
    every = [Town(config, number) for number in range(config.towns)]
    assert len({tuple(town.seeds) for town in every}) == len(every)
    assert len({(town.location, town.first_id) for town in every}) == len(every)
    for town in every:
        rest = [other.offset for other in every if other.location == town.location and other != town]
        assert min(max(abs(np.subtract(town.offset, other))) for other in rest) >= SPACING_M
    assert Town(SPLITS["minitown-val"], 0).seeds != every[0].seeds


def test_logs_stand_on_the_map_of_their_town(small_towns: Dict[Town, Path]) -> None:
    for town, folder in small_towns.items():
        city = MapStore(folder / MAPS_FOLDER).load(town.location)
        lanes = city.layer("lanes_polygons")
        assert town.first_id <= lanes.ids.min() and lanes.ids.max() < town.first_id + towns.IDS_A_TOWN
        for path in sorted((folder / LOGS_FOLDER).glob("*.pkl")):
            frames = read_log(path)
            assert [frame["map_location"] for frame in frames] == [town.location] * len(frames)
            assert all(frame["log_name"] == path.stem and frame["roadblock_ids"] for frame in frames)
            position = np.array([frame["ego2global_translation"][:2] for frame in frames])
            assert (np.abs(position - town.offset) < SPACING_M).all()
            roadblocks = {int(name) for frame in frames for name in frame["roadblock_ids"]}
            known = {*city.layer("lane_groups_polygons").ids, *city.layer("lane_group_connectors").ids}
            assert roadblocks <= {int(name) for name in known}


def test_windows_are_read_back_and_keep_to_the_rules(small_towns: Dict[Town, Path]) -> None:
    for folder in small_towns.values():
        windows = read_windows(folder)
        assert windows and all(isinstance(window.kinds, tuple) for window in windows)
        for log in {window.log for window in windows}:
            starts = [window.start for window in windows if window.log == log]
            assert len(starts) <= 2 and np.all(np.diff(starts) >= 4)
            tokens = [frame["token"] for frame in read_log(folder / LOGS_FOLDER / f"{log}.pkl")]
            assert [tokens.index(window.token) - 3 for window in windows if window.log == log] == starts


def test_corners_are_those_of_the_locations() -> None:
    assert set(CORNERS) == set(towns.LOCATIONS)


def test_a_failure_leaves_no_town_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: NetworkConfig, folder: Path) -> Path:
        (folder / "town.net.xml").write_text("<net")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(towns, "make_network", fail)
    with pytest.raises(OSError, match="No space left"):
        build_town(TOWNS[0], tmp_path / "0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_another_process_makes_the_same_town_and_another_seed_another_one(tmp_path: Path) -> None:
    program = (
        "from dataclasses import replace; from pathlib import Path; from tests.world.small_world import *\n"
        "for seed in (7, 8):\n"
        "    folder = Path({folder!r}) / str(seed)\n"
        "    build_town(Town(replace(SMALL, seed=seed), 0), folder)\n"
        "    print(digest_town(folder))"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", program.format(folder=str(tmp_path))]
    same, other = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split()
    assert same == DIGESTS[0] != other and SMALL.seed == 7
