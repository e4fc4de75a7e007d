"""Runs SUMO on a town and records what everybody does; directors may interfere in every step."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Dict, List, Protocol, Sequence, Set, Tuple

import numpy as np
from shapely import Polygon

from latentvla_agent.errors import DataError
from latentvla_agent.world.sumo import MAX_SEED, load_libsumo
from latentvla_agent.world.traffic.capture import Capture, Prop
from latentvla_agent.world.traffic.config import STEP_S, TrafficConfig
from latentvla_agent.world.traffic.demand import draw_trips, write_routes
from latentvla_agent.world.traffic.parked_cars import park_cars
from latentvla_agent.world.traffic.recording import EGO_TYPE, EventSpan, Recording, extend_events
from latentvla_agent.world.traffic.road_graph import build_graph, read_links
from latentvla_agent.world.traffic.smoothing import SmoothingConfig
from latentvla_agent.world.traffic.speeds import limit_curve_speeds
from latentvla_agent.world.traffic.tracks import make_tracks
from latentvla_agent.world.traffic.walks import draw_walks

if TYPE_CHECKING:
    from latentvla_agent.world.roads.lanes import Roads

DEMAND_STREAM, DIRECTOR_STREAM, PARKING_STREAM = 1, 2, 3  # of random numbers
BICYCLE = "bicycle"


class LiveTraffic:
    """A running simulation as directors see it: `sumo` is the libsumo module, `step` counts from the recording's start.

    What SUMO itself drives is changed through `sumo`; props are actors that SUMO neither drives nor sees.
    """

    def __init__(self, sumo: ModuleType, roads: Roads, config: TrafficConfig) -> None:
        self.sumo = sumo
        self.roads = roads
        self.config = config
        self.step = 0
        self.rng = _make_rng(config, DIRECTOR_STREAM)
        self.props: Dict[str, Prop] = {}  # those that exist now
        self.past_props: List[Prop] = []
        self.events: List[EventSpan] = []
        # Keys of what SUMO moves but nobody may see: left out as long as it has never been seen; whoever has been seen
        # and is in here at the end is left out of the whole recording.
        self.hidden: Set[str] = set()
        self.held: Set[str] = set()  # vehicles that a director holds for its event
        self.parking: Sequence[Polygon] = ()  # areas where cars stand all the time

    @property
    def egos(self) -> List[str]:
        """SUMO ids of the egos that are on the road, in the order of their numbers."""
        return sorted(key for key in self.sumo.vehicle.getIDList() if self.sumo.vehicle.getTypeID(key) == EGO_TYPE)

    def add_prop(
        self, key: str, name: str, model: str, length: float, width: float, height: float, state: Sequence[float]
    ) -> None:
        """Put an actor on the stage; `state` is (x, y, heading, speed) of its box centre, and stays until it is moved.

        Raises `DataError` where the key is taken. A key that was removed can't come back.
        """
        taken = {*self.props, *(prop.key for prop in self.past_props), *self.sumo.vehicle.getIDList()}
        if key in taken:
            raise DataError(f"prop {key}: expected a key that nobody has, got one that is taken")
        self.props[key] = Prop(key, name, model, (length, width, height), self.step, _check_state(key, state))

    def move_prop(self, key: str, state: Sequence[float]) -> None:
        """Set where the prop is from this step on; whoever moves one sees to it that it moves smoothly."""
        self._find_prop(key).state = _check_state(key, state)

    def remove_prop(self, key: str) -> None:
        """Take the prop off the stage; its track ends one step earlier."""
        self.past_props.append(self._find_prop(key))
        del self.props[key]

    def report(self, kind: str, ego: str, actors: Sequence[str]) -> None:
        """Say that a rare event is on for the ego at this step. `actors`: keys of vehicles, people and props in it."""
        extend_events(self.events, kind, ego, self.step, tuple(actors))

    def _find_prop(self, key: str) -> Prop:
        if key not in self.props:
            raise DataError(f"prop {key}: expected one of {sorted(self.props)}, got no such prop")
        return self.props[key]


class Director(Protocol):
    """Whoever makes things happen: called before every step of the recording."""

    def direct(self, live: LiveTraffic) -> None:
        """Look at the traffic and interfere."""


def _check_state(key: str, state: Sequence[float]) -> Tuple[float, float, float, float]:
    values = np.asarray(state, dtype=np.float64)
    if values.shape != (4,) or not np.isfinite(values).all():
        raise DataError(f"prop {key}: expected a state of x, y, heading, speed, got {state!r}")
    x, y, heading, speed = values.tolist()
    return x, y, heading, speed


def record_traffic(
    net_file: Path,
    roads: Roads,
    config: TrafficConfig,
    directors: Sequence[Director] = (),
    smoothing: SmoothingConfig = SmoothingConfig(),
    parking: Sequence[Polygon] = (),
) -> Recording:
    """Simulate the town and return smooth tracks of everybody; the same arguments give the same recording.

    `parking`: areas for parked cars in the town frame (`parked_cars.areas_of_map` takes them from a map's layers).
    Raises `DataError` where SUMO is missing or refuses the town. libsumo holds one simulation per process.
    """
    sumo = load_libsumo()
    rng = _make_rng(config, DEMAND_STREAM)
    cycle_graph = build_graph(roads, read_links(net_file, BICYCLE))
    trips = draw_trips(build_graph(roads), cycle_graph, config, rng)
    live = LiveTraffic(sumo, roads, config)
    live.parking = parking
    with tempfile.TemporaryDirectory() as folder:
        route_file = Path(folder) / "town.rou.xml"
        write_routes(trips, draw_walks(net_file, config, rng), config, route_file)
        try:
            sumo.start(["sumo", *_sumo_options(net_file, route_file, config)])
            limit_curve_speeds(sumo, roads, config)
            capture = _run(live, config, directors)
        except (sumo.TraCIException, sumo.FatalTraCIError) as error:
            raise DataError(f"{net_file}: SUMO gave up: {error}") from error
        finally:
            sumo.close()
    routes = {trip.key: trip.edges for trip in trips if trip.type_key == EGO_TYPE}
    tracks, lane_of = make_tracks(capture, [*live.past_props, *live.props.values()], smoothing)
    tracks += park_cars(parking, roads, config.num_steps, config, _make_rng(config, PARKING_STREAM))
    tracks.sort(key=lambda track: track.first_step)  # stable: equals stay in the order in which they came
    return Recording(
        STEP_S,
        config.num_steps,
        {track.key: track for track in tracks},
        capture.signals(),
        lane_of,
        tuple(live.events),
        {key: routes.get(key, ()) for key in lane_of},
    )


def _make_rng(config: TrafficConfig, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([config.seed, stream]))


def _sumo_options(net_file: Path, route_file: Path, config: TrafficConfig) -> List[str]:
    return [
        *("--net-file", str(net_file), "--route-files", str(route_file), "--step-length", str(STEP_S)),
        *("--seed", str(config.seed & MAX_SEED), "--lanechange.duration", str(config.lane_change_s)),
        *(
            "--time-to-teleport",
            "-1",
            "--time-to-impatience",
            str(config.impatience_s),
            "--collision.action",
            "warn",
            "--no-step-log",
            "true",
            "--no-warnings",
            "true",
        ),
        *(
            "--ignore-route-errors",
            "true",
            "--xml-validation",
            "never",
            "--duration-log.disable",
            "true",
            "--begin",
            "0",
        ),
    ]


def _run(live: LiveTraffic, config: TrafficConfig, directors: Sequence[Director]) -> Capture:
    """The simulation loop: the warm-up, then the recording with directors."""
    capture = Capture(live.sumo, config)
    for step in range(-config.num_warm_up_steps, config.num_steps):
        live.step = step
        if step >= 0:
            for director in directors:
                director.direct(live)
            for prop in live.props.values():
                prop.states.append(prop.state)
        live.sumo.simulationStep()
        capture.observe(step, live.hidden)
    capture.drop(live.hidden)
    return capture
