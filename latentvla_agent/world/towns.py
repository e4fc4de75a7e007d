"""Builds one town of a split: roads, map, traffic, drives, and the windows of these that the split's rules allow."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import numpy as np
from shapely import Polygon

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.log_writer import write_log
from latentvla_agent.data.logs import LogFrame
from latentvla_agent.data.map_writer import LOCATIONS, map_path, write_map, write_map_versions
from latentvla_agent.world.drives import DriveSpec, make_frames
from latentvla_agent.world.events import EventConfig, make_directors
from latentvla_agent.world.roads.config import NetworkConfig
from latentvla_agent.world.roads.lanes import Roads, read_roads
from latentvla_agent.world.roads.layers import RoadIds, lay_out_map
from latentvla_agent.world.roads.networks import make_network
from latentvla_agent.world.splits import NO_EVENT, Shares, SplitConfig
from latentvla_agent.world.sumo import MAX_SEED
from latentvla_agent.world.traffic.config import TrafficConfig
from latentvla_agent.world.traffic.parked_cars import areas_of_map
from latentvla_agent.world.traffic.recording import EGO_TYPE, Recording
from latentvla_agent.world.traffic.simulation import record_traffic
from latentvla_agent.world.windows import Window, cut_windows

WINDOWS_FILE = "windows.json"  # of a finished town
LOGS_FOLDER, MAPS_FOLDER = "logs", "maps"
STEPS_A_FRAME = 5  # 10 Hz of the simulation, 2 Hz of a log
NETWORK_KINDS = ("grid", "spider", "random")
# Corner [m] from where the towns of a location are laid out, inside its UTM zone.
CORNERS: Dict[str, Tuple[float, float]] = {
    "sg-one-north": (300_000.0, 120_000.0),
    "us-ma-boston": (300_000.0, 4_650_000.0),
    "us-nv-las-vegas-strip": (640_000.0, 3_970_000.0),
    "us-pa-pittsburgh-hazelwood": (560_000.0, 4_440_000.0),
}
SPACING_M = 4_000.0  # from town to town: nothing of one is seen in another
TOWNS_A_ROW = 6
IDS_A_TOWN = 100_000
SUN_ELEVATIONS = (0.35, 1.1)  # rad, by day


@dataclass(frozen=True)
class Town:
    """A town by number; everything about it follows from the split and the number."""

    split: SplitConfig
    number: int

    @property
    def name(self) -> str:
        """Unique among all splits."""
        return f"{self.split.family}-{self.number:03d}"

    @property
    def location(self) -> str:
        """The city whose map the town is part of."""
        return list(CORNERS)[self.number % len(CORNERS)]

    @property
    def offset(self) -> Tuple[float, float]:
        """UTM position [m] of the town frame's origin."""
        row, column = divmod(self.number // len(CORNERS), TOWNS_A_ROW)
        x, y = CORNERS[self.location]
        return (x + column * SPACING_M, y + row * SPACING_M)

    @property
    def first_id(self) -> int:
        """First FID of the town's map objects."""
        return (1 + self.number // len(CORNERS)) * IDS_A_TOWN

    @cached_property
    def seeds(self) -> List[int]:
        """Of network, traffic, events and weather; drawn from the split's seed and the number."""
        sequence = np.random.SeedSequence((self.split.seed, self.number))
        return [int(seed) & MAX_SEED for seed in sequence.generate_state(4)]


def build_town(town: Town, folder: Path) -> List[Window]:
    """Simulate a town and write its map, its logs and its windows to `folder`, which appears when all is done."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{town.name}-") as temporary:
        work = Path(temporary) / town.name
        network_seed, traffic_seed, event_seed, weather_seed = town.seeds
        net_file = make_network(_choose_network(town, network_seed), Path(temporary))
        roads = read_roads(net_file)
        road_ids, parking = _write_town_map(town, roads, work / MAPS_FOLDER)
        recording = _simulate(town, net_file, roads, parking, traffic_seed, event_seed)
        rng = np.random.Generator(np.random.PCG64(weather_seed))
        drives = _record_drives(town, recording, roads, road_ids, rng)
        for name, frames in drives.items():
            write_log(work / LOGS_FOLDER / f"{name}.pkl", frames, durable=False)
        windows = cut_windows(work / LOGS_FOLDER, work / MAPS_FOLDER, drives, town.split.rules)
        content = json.dumps([asdict(window) for window in windows])
        write_atomically(work / WINDOWS_FILE, content.encode(), durable=False)
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    return windows


def read_windows(folder: Path) -> List[Window]:
    """Windows of a finished town, as `build_town` gave them."""
    entries = json.loads((folder / WINDOWS_FILE).read_text(encoding="utf-8"))
    return [
        Window(entry["token"], entry["log"], entry["start"], tuple(entry["kinds"]), tuple(map(tuple, entry["scores"])))
        for entry in entries
    ]


def _choose_network(town: Town, seed: int) -> NetworkConfig:
    if town.split.opendrive:
        return NetworkConfig(kind="opendrive", seed=seed, opendrive=Path(town.split.opendrive))
    return NetworkConfig(kind=NETWORK_KINDS[town.number % len(NETWORK_KINDS)], seed=seed)


def _write_town_map(town: Town, roads: Roads, maps: Path) -> Tuple[RoadIds, List[Polygon]]:
    """Writes the map; its ids, and where cars park."""
    layers, road_ids = lay_out_map(roads, town.offset, town.first_id)
    write_map(map_path(maps, town.location), layers, LOCATIONS[town.location].projection)
    write_map_versions(maps)
    return road_ids, areas_of_map(layers["carpark_areas"], town.offset)


def _simulate(
    town: Town, net_file: Path, roads: Roads, parking: Sequence[Polygon], traffic_seed: int, event_seed: int
) -> Recording:
    split = town.split
    traffic = TrafficConfig(
        seed=traffic_seed, duration_s=split.duration_s, num_egos=split.egos, num_vehicles=split.vehicles
    )
    rng = np.random.Generator(np.random.PCG64(event_seed))
    directors = make_directors(
        _choose_events(town), [f"{EGO_TYPE}_{number}" for number in range(traffic.num_egos)], rng
    )
    return record_traffic(net_file, roads, traffic, directors, parking=parking)


def _choose_events(town: Town) -> EventConfig:
    shares = dict(town.split.events)
    none_share = shares.pop(NO_EVENT, 0.0)
    return EventConfig(shares=tuple(shares.items()), none_share=none_share, kinds_per_ego=len(shares))


def _record_drives(
    town: Town, recording: Recording, roads: Roads, road_ids: RoadIds, rng: np.random.Generator
) -> Dict[str, List[LogFrame]]:
    """Frames of every log of the town, by name: an ego's way, cut into drives of equal length."""
    drives: Dict[str, List[LogFrame]] = {}
    num_steps = int(round(town.split.drive_s / recording.step_s))
    for ego in recording.lane_of:
        track = recording.tracks[ego]
        for part, first in enumerate(range(track.first_step, track.last_step + 2 - num_steps, num_steps)):
            name = f"{town.name}-{ego}-{part}"
            spec = DriveSpec(
                town=town.name,
                log_name=name,
                location=town.location,
                seed=town.seeds[0],
                weather=_draw(town.split.weather, rng),
                sun=(float(rng.uniform(-np.pi, np.pi)), float(rng.uniform(*SUN_ELEVATIONS))),
                picture_size=town.split.picture_size,
            )
            steps = range(first, first + num_steps, STEPS_A_FRAME)
            drives[name] = make_frames(recording, ego, steps, roads, road_ids, town.offset, spec)
    return drives


def _draw(shares: Shares, rng: np.random.Generator) -> str:
    names, weights = zip(*shares)
    return str(names[rng.choice(len(names), p=np.asarray(weights) / sum(weights))])


class TownBuilder:
    """Builds towns below a folder, each in a folder of its number; what a worker process does."""

    def __init__(self, parts: Path):
        self._parts = parts

    def __call__(self, town: Town) -> int:
        """The number of windows that the town offers."""
        return len(build_town(town, self._parts / str(town.number)))
