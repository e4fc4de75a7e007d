"""Networks: the same bytes in two processes, curvy and narrow enough, OpenDRIVE files, errors."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.world.roads.config import NetworkConfig
from latentvla_agent.world.roads.curves import measure_arc, measure_headings, smallest_radius
from latentvla_agent.world.roads.lanes import read_roads
from latentvla_agent.world.roads.networks import NET_NAME, make_network
from tests.world.roads.open_drive import RADIUS_M, write_bend
from tests.world.roads.sample_roads import TOWNS, digest_map, sample_map, sample_roads, small_network

pytest.importorskip("sumo", reason="the extra [world] is not installed")

ROOT = Path(__file__).resolve().parents[3]
MAKE_TOWN = """
import hashlib, sys
from pathlib import Path
from tests.world.roads.sample_roads import digest_map, sample_map, small_network
from latentvla_agent.world.roads.networks import make_network
net = make_network(small_network(sys.argv[1], 1), Path(sys.argv[2]))
print(hashlib.sha256(net.read_bytes()).hexdigest(), digest_map(sys.argv[1], 1))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grid", "spider", "random"])
def test_another_process_makes_the_same_bytes(kind: str, tmp_path: Path) -> None:
    net = make_network(small_network(kind, 1), tmp_path)
    here = hashlib.sha256(net.read_bytes()).hexdigest()
    command = [sys.executable, "-c", MAKE_TOWN, kind, str(tmp_path / "other")]
    there = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert there == [here, digest_map(kind, 1)]
    assert [path.name for path in tmp_path.iterdir() if path.name != "other"] == [NET_NAME]


def test_another_seed_makes_another_town(tmp_path: Path) -> None:
    nets = [make_network(small_network("grid", seed), tmp_path / str(seed)).read_bytes() for seed in (1, 7)]
    assert nets[0] != nets[1]


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_half_of_the_roads_have_one_lane_and_many_of_them_bend(kind: str, seed: int) -> None:
    edges = sample_roads(kind, seed).edges()
    assert sum(len(lanes) == 1 for lanes in edges.values()) >= 0.5 * len(edges)
    long = [lanes[0].line for lanes in edges.values() if measure_arc(lanes[0].line)[-1] > 50.0]
    turns = [float(np.ptp(measure_headings(line))) for line in long]
    assert np.mean(np.array(turns) > 0.25) > 0.6


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_speed_limits_suit_the_bends_and_differ(kind: str, seed: int) -> None:
    roads = sample_roads(kind, seed)
    limits = {lane.speed_limit for lane in roads.lanes.values()}
    assert len(limits) >= 4 and min(limits) >= 4.0 and max(limits) <= 20.0
    for road in [*roads.lanes.values(), *roads.connectors.values()]:
        assert road.speed_limit**2 / smallest_radius(road.line) < 4.5, road.key


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_towns_have_junctions_of_several_kinds(kind: str, seed: int) -> None:
    connectors = sample_roads(kind, seed).connectors.values()
    assert any(connector.signal for connector in connectors)
    assert any(connector.state == "m" and not connector.signal for connector in connectors)
    assert len(sample_map(kind, seed)[0]["crosswalks"].ids) > 0


def test_an_open_drive_file_becomes_roads(tmp_path: Path) -> None:
    path = tmp_path / "bend.xodr"
    path.write_text(write_bend(), encoding="utf-8")
    roads = read_roads(make_network(NetworkConfig(kind="opendrive", opendrive=path), tmp_path / "town"))
    assert len(roads.lanes) == 6 and len(roads.connectors) == 4
    # The roads of the file touch; a connector needs room between their lanes.
    assert min(measure_arc(connector.line)[-1] for connector in roads.connectors.values()) >= 1.0
    assert min(lane.line.min() for lane in roads.lanes.values()) >= 50.0  # moved inside, wherever the file has it
    bends = [lane.line for lane in roads.lanes.values() if np.ptp(measure_headings(lane.line)) > 1.0]
    assert len(bends) == 2
    for line in bends:
        turn = np.ptp(measure_headings(line))
        assert measure_arc(line)[-1] / turn == pytest.approx(RADIUS_M, abs=3.0)


def test_wrong_configurations_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected one of grid"):
        NetworkConfig(kind="ring")
    with pytest.raises(DataError, match="opendrive"):
        NetworkConfig(kind="grid", opendrive=tmp_path / "a.xodr")
    with pytest.raises(DataError, match="a.xodr: OpenDRIVE file not found"):
        make_network(NetworkConfig(kind="opendrive", opendrive=tmp_path / "a.xodr"), tmp_path)


def test_what_does_not_fit_is_left_out_or_an_error(tmp_path: Path) -> None:
    roads = read_roads(make_network(replace(small_network("random", 1), extent_m=900.0), tmp_path))
    assert np.vstack([lane.line for lane in roads.lanes.values()]).max() < 900.0
    path = tmp_path / "bend.xodr"
    path.write_text(write_bend(), encoding="utf-8")
    with pytest.raises(DataError, match="expected inside"):
        make_network(NetworkConfig(kind="opendrive", opendrive=path, extent_m=100.0), tmp_path / "small")
    assert not (tmp_path / "small" / NET_NAME).exists()


def test_a_bend_beyond_the_outermost_junctions_is_moved_inside(tmp_path: Path) -> None:
    config = NetworkConfig(kind="spider", seed=272584690)  # reached 10.6 m beyond the southern border
    roads = read_roads(make_network(config, tmp_path))
    assert 0.0 <= np.vstack([lane.line for lane in roads.lanes.values()]).min() < config.margin_m
