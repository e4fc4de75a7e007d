"""Who drives through a town, and how: kinds of vehicles, tempers of drivers, numbers of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Tuple

from latentvla_agent.world.traffic.recording import EGO_TYPE


@dataclass(frozen=True)
class VehicleKind:
    """A look with its size [m]. `share` of the vehicles, `agility` scales a driver's acceleration."""

    model: str
    name: str  # NAVSIM's class
    vehicle_class: str  # SUMO's class: who may use which lane
    length: float
    width: float
    height: float
    share: float
    agility: float = 1.0
    max_speed: float = 40.0


@dataclass(frozen=True)
class Temper:
    """How somebody drives: SUMO's parameters of car following (IDM) and lane changes."""

    key: str
    share: float
    speed_factor: float  # of the speed limit
    speed_spread: float  # standard deviation of that factor among drivers
    acceleration: float
    deceleration: float
    headway_s: float  # tau
    min_gap: float
    overtaking: float  # lcSpeedGain: eagerness to change lanes for speed
    impatience: float
    assertiveness: float  # lcAssertive: accepts smaller gaps


@dataclass(frozen=True)
class TrafficConfig:
    """All numbers of a town's traffic. Seconds, metres, m/s.

    The population stays the same: everybody sets out during `warm_up_s`, before the recording, on a route that is
    longer than the recording, so that nobody appears or vanishes on the open road.
    """

    seed: int = 0
    duration_s: float = 180.0
    warm_up_s: float = 40.0
    num_egos: int = 6
    num_vehicles: int = 100
    num_bicycles: int = 12
    num_pedestrians: int = 60
    lane_change_s: float = 3.5
    impatience_s: float = 20.0  # after so long a wait somebody takes any gap
    crossing_gap_s: float = 1.5  # jmTimegapMinor: before and after somebody with the right of way
    route_speed: float = 11.0  # mean speed that a route's length is made for
    ego_turn_weight: float = 1.0  # how much rather an ego turns than goes straight on
    ego_speed_weight: float = 2.5  # power of the speed limit by which an ego prefers a road
    vehicle_turn_weight: float = 0.7
    ego_start_gap_s: float = 4.0  # egos set out one after the other
    curve_acceleration: float = 3.0  # lateral, in the tightest bend of a lane: nobody takes it faster
    turn_acceleration: float = 1.6  # the same at junctions
    min_curve_speed: float = 3.0
    slide_per_metre: float = 0.12  # a change of lanes goes at most so many metres sideways per metre ahead
    max_slide_speed: float = 1.2
    walk_legs: int = 4  # walks that a pedestrian strings together
    walk_reach: int = 2  # edges from the start to the end of a walk
    walk_start_m: float = 40.0  # somewhere on the first edge
    walk_speed: float = 1.35
    walk_speed_spread: float = 0.2
    child_share: float = 0.15
    kinds: Tuple[VehicleKind, ...] = (
        VehicleKind("sedan", "vehicle", "passenger", 4.75, 1.85, 1.46, 0.34),
        VehicleKind("hatchback", "vehicle", "passenger", 4.15, 1.77, 1.50, 0.20),
        VehicleKind("suv", "vehicle", "passenger", 4.85, 1.95, 1.76, 0.24),
        VehicleKind("van", "vehicle", "passenger", 5.60, 2.04, 2.35, 0.09, 0.85),
        VehicleKind("truck", "vehicle", "truck", 8.40, 2.45, 3.30, 0.05, 0.6, 22.0),
        VehicleKind("bus", "vehicle", "bus", 11.50, 2.50, 3.15, 0.03, 0.6, 20.0),
        VehicleKind("motorcycle", "bicycle", "motorcycle", 2.15, 0.85, 1.55, 0.05, 1.1),
    )
    ego: VehicleKind = VehicleKind(EGO_TYPE, "vehicle", "passenger", 5.176, 2.297, 1.777, 0.0)
    bicycle: VehicleKind = VehicleKind("bicycle", "bicycle", "bicycle", 1.80, 0.70, 1.75, 0.0, 0.6, 5.5)
    adult: VehicleKind = VehicleKind("adult", "pedestrian", "pedestrian", 0.55, 0.65, 1.75, 0.0)
    child: VehicleKind = VehicleKind("child", "pedestrian", "pedestrian", 0.40, 0.45, 1.20, 0.0)
    tempers: Tuple[Temper, ...] = (
        Temper("calm", 0.35, 0.92, 0.04, 1.6, 2.0, 1.5, 2.5, 0.6, 0.0, 0.8),
        Temper("normal", 0.45, 1.00, 0.05, 2.0, 2.4, 1.1, 2.0, 1.0, 0.2, 1.0),
        Temper("brisk", 0.20, 1.10, 0.05, 2.5, 3.0, 0.8, 1.5, 2.0, 0.5, 1.3),
    )
    ego_temper: Temper = field(default=Temper("ego", 0.0, 1.0, 0.0, 2.0, 2.4, 1.2, 2.5, 1.0, 0.3, 1.0))

    @property
    def num_steps(self) -> int:
        """Steps of the recording."""
        return int(round(self.duration_s / STEP_S))

    @property
    def num_warm_up_steps(self) -> int:
        """Steps before the recording."""
        return int(round(self.warm_up_s / STEP_S))


STEP_S = 0.1  # of the simulation and of recordings
