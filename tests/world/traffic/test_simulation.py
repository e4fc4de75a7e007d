"""Traffic of a generated town: smooth, inside its lanes, the same every time; directors interfere."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Dict, Tuple

import numpy as np
import pytest
import shapely

from latentvla_agent.errors import DataError
from latentvla_agent.world.roads.lanes import Roads
from latentvla_agent.world.roads.layers import lay_out_map
from latentvla_agent.world.traffic.config import TrafficConfig
from latentvla_agent.world.traffic.parked_cars import areas_of_map
from latentvla_agent.world.traffic.recording import Recording, StateIndex
from latentvla_agent.world.traffic.simulation import LiveTraffic, record_traffic
from tests.world.traffic.traffic_towns import make_town

pytest.importorskip("libsumo", reason="SUMO is not installed")

STEP_S = 0.1
CONFIG = TrafficConfig(
    seed=5, duration_s=40.0, warm_up_s=15.0, num_egos=3, num_vehicles=40, num_bicycles=4, num_pedestrians=12
)
CORNERS = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])


class Stage:
    """A director that pushes a cone around, brakes a vehicle and reports."""

    def direct(self, live: LiveTraffic) -> None:
        if live.step == 10:
            live.add_prop("cone", "traffic_cone", "cone", 0.4, 0.4, 0.7, (1.0, 2.0, 0.0, 0.0))
            with pytest.raises(DataError, match="taken"):
                live.add_prop("cone", "traffic_cone", "cone", 0.4, 0.4, 0.7, (1.0, 2.0, 0.0, 0.0))
        if 10 <= live.step < 20:
            live.move_prop("cone", (1.0 + 0.1 * (live.step - 10), 2.0, 0.0, 1.0))
            live.report("stalled", live.egos[0], ["cone"])
        if live.step == 30:
            live.remove_prop("cone")
            with pytest.raises(DataError, match="no such prop"):
                live.move_prop("cone", (0.0, 0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Tuple[Path, Roads]:
    return make_town(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="module")
def map_layers(town: Tuple[Path, Roads]) -> Dict[str, shapely.Geometry]:
    layers, _ = lay_out_map(town[1], (0.0, 0.0), 1)
    drivable = [layers[name].geometry for name in ("lane_groups_polygons", "intersections", "carpark_areas")]
    return {"drivable": shapely.union_all(np.concatenate(drivable)), "carparks": layers["carpark_areas"]}


@pytest.fixture(scope="module")
def recording(town: Tuple[Path, Roads], map_layers: Dict[str, shapely.Geometry]) -> Recording:
    parking = areas_of_map(map_layers["carparks"], (0.0, 0.0))
    return record_traffic(*town, CONFIG, [Stage()], parking=parking)


def test_everybody_is_there(recording: Recording) -> None:
    assert recording.egos == ["ego_0", "ego_1", "ego_2"] and recording.num_steps == 400
    names = {track.name for track in recording.tracks.values()}
    assert {"vehicle", "bicycle", "pedestrian", "traffic_cone"} <= names
    for ego in recording.egos:
        track = recording.tracks[ego]
        assert len(recording.lane_of[ego]) == len(track.states)
    assert max(recording.tracks[ego].states[:, StateIndex.SPEED].max() for ego in recording.egos) > 5.0
    assert recording.signals and all(len(states) == 400 for states in recording.signals.values())


def test_egos_are_comfortable(recording: Recording) -> None:
    """The limits of NAVSIM's comfort, over the whole drive."""
    for ego in recording.egos:
        states = recording.tracks[ego].states
        speed, heading = states[:, StateIndex.SPEED], states[:, StateIndex.HEADING]
        acceleration, turning = np.gradient(speed, STEP_S), np.gradient(heading, STEP_S)
        assert acceleration.min() > -4.05 and acceleration.max() < 2.40
        assert np.abs(np.gradient(acceleration, STEP_S)).max() < 4.13
        assert np.abs(speed * turning).max() < 4.89
        assert np.abs(turning).max() < 0.95
        assert np.abs(np.gradient(turning, STEP_S)).max() < 1.93


def test_egos_stay_on_the_road(recording: Recording, map_layers: Dict[str, shapely.Geometry]) -> None:
    """But for a kerb that a corner of the box may brush in a tight turn."""
    shapely.prepare(map_layers["drivable"])
    off_road = 0
    for ego in recording.egos:
        track = recording.tracks[ego]
        cos, sin = (function(track.states[:, StateIndex.HEADING]) for function in (np.cos, np.sin))
        for along, left in CORNERS * (0.5 * track.length, 0.5 * track.width):
            x = track.states[:, StateIndex.X] + along * cos - left * sin
            y = track.states[:, StateIndex.Y] + along * sin + left * cos
            off = ~shapely.contains_xy(map_layers["drivable"], x, y)
            assert shapely.distance(map_layers["drivable"], shapely.points(x[off], y[off])).max(initial=0.0) < 0.3
            off_road += int(off.sum())
    assert off_road < 0.005 * recording.num_steps * len(recording.egos)


def test_nobody_jumps(recording: Recording) -> None:
    for track in recording.tracks.values():
        states = track.states
        assert np.isfinite(states).all() and (states[:, StateIndex.SPEED] >= 0.0).all()
        moves = np.hypot(*np.diff(states[:, :2], axis=0).T)
        assert moves.max(initial=0.0) < 2.5, track.key
        limit = 0.6 if track.name == "pedestrian" else 0.35
        assert np.abs(np.diff(states[:, StateIndex.HEADING])).max(initial=0.0) < limit, track.key
        still = (states[1:, StateIndex.SPEED] == 0.0) & (states[:-1, StateIndex.SPEED] == 0.0)
        if track.name != "pedestrian":
            assert (moves[still] < 2e-3).all(), track.key


def test_parked_cars_stand_in_their_areas(recording: Recording, map_layers: Dict[str, shapely.Geometry]) -> None:
    parked = [track for key, track in recording.tracks.items() if key.startswith("parked")]
    area = shapely.union_all(map_layers["carparks"].geometry)
    assert len(parked) > 5
    for track in parked:
        assert np.ptp(track.states, axis=0).max() == 0.0 and not track.braking.any()
        assert area.contains(shapely.Point(*track.states[0, :2]))


def test_director_plays_its_part(recording: Recording) -> None:
    cone = recording.tracks["cone"]
    assert (cone.first_step, cone.last_step) == (10, 29)
    np.testing.assert_allclose(cone.states[[0, 5, 15], 0], [1.0, 1.5, 1.9])
    (event,) = recording.events
    assert (event.kind, event.first_step, event.last_step, event.actors) == ("stalled", 10, 19, ("cone",))
    assert list(recording.tracks)[-1] == "cone"  # tracks are in the order of their appearance


def test_too_small_a_town_is_refused(town: Tuple[Path, Roads]) -> None:
    with pytest.raises(DataError, match="room for 100000 egos"):
        record_traffic(*town, TrafficConfig(num_egos=100_000))


@pytest.mark.slow
def test_two_processes_record_the_same(town: Tuple[Path, Roads]) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.world.traffic.test_simulation import digest; "
        "print(digest(Path(sys.argv[1]), int(sys.argv[2])))"
    )
    root = Path(__file__).parents[3]
    digests = [
        subprocess.run(
            [sys.executable, "-c", code, str(town[0]), str(seed)], cwd=root, capture_output=True, text=True, check=True
        ).stdout
        for seed in (5, 5, 6)
    ]
    assert digests[0] == digests[1] != digests[2]


def digest(net_file: Path, seed: int) -> str:
    """Hash of a short recording."""
    from latentvla_agent.world.roads.lanes import read_roads

    config = TrafficConfig(seed=seed, duration_s=10.0, warm_up_s=10.0, num_vehicles=20, num_pedestrians=5)
    recording = record_traffic(net_file, read_roads(net_file), config)
    content = b"".join(key.encode() + track.states.tobytes() for key, track in recording.tracks.items())
    return hashlib.sha256(content + repr(recording.signals).encode()).hexdigest()
