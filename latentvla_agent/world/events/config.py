"""Every number of the rare events: how far, how fast, how hard, how often. Metres, seconds, m/s, m/s²."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Tuple

Range = Tuple[float, float]  # (least, most)


@dataclass(frozen=True)
class DriverSettings:
    """How the ego (and whoever else an event brakes) reacts: early enough to stay inside the comfort limits."""

    step_s: float = 0.1
    start_decel: float = 1.7  # brakes once this much is needed to stop in time
    release_decel: float = 0.4  # lets go when less than this is needed
    hard_decel: float = 3.3  # as hard as it brakes by choice
    emergency_decel: float = 7.0  # only if hard_decel would not do
    jerk: float = 3.2
    emergency_jerk: float = 9.0
    standstill_gap: float = 2.5  # to whatever it stops for
    ease_speed: float = 1.2  # below it the brake is let go in proportion to the speed, so that the stop has no jolt
    least_decel: float = 0.35
    shift_time_s: float = 3.0  # a swerve takes this long ...
    shift_length: Range = (12.0, 32.0)  # ... inside these lengths


@dataclass(frozen=True)
class PlaceSettings:
    """Where an event may happen, and what may be staged out of the ego's sight."""

    settle_s: float = 3.0  # the ego has driven this long: a window needs its history
    search_every: int = 3  # steps between two looks for a place
    look_ahead: float = 260.0
    sight: float = 105.0  # nothing appears or disappears closer to any ego than this
    ego_speed: float = 5.5  # the least at which an event starts
    ego_length: float = 5.176
    ego_width: float = 2.297
    after_junction: float = 14.0  # m of lane between a junction and an event on the open road
    before_junction: float = 16.0
    straightness: float = 0.12  # rad of turning inside the place, at most


@dataclass(frozen=True)
class LeadBrakesSettings:
    gap: Range = (7.0, 26.0)
    decel: Range = (4.0, 7.0)
    ego_decel: float = 2.9  # the lead brakes only as hard as lets the ego stay at or below this
    reaction_s: float = 0.7  # reaction and rise of the brake, taken into account when the lead's decel is chosen
    lead_speed: float = 5.5
    final_speed: Range = (0.0, 1.0)
    hold_s: Range = (1.5, 3.0)
    over_s: float = 1.5  # the event stays on this long after the lead drives on
    stage_gap: float = 70.0  # a lead within this is slowed so that the ego closes up
    stage_share: float = 0.8  # of the ego's speed
    insert_ahead: Range = (110.0, 150.0)  # a lead is sent there if there is none


@dataclass(frozen=True)
class CutInSettings:
    ahead: Range = (2.5, 9.0)  # rear bumper of the cutter ahead of the ego's front bumper when it starts to move over
    slower: Range = (1.5, 3.5)  # the cutter slows by this much
    move_s: Range = (2.0, 2.8)
    hold_s: Range = (2.0, 3.0)
    ego_decel: float = 2.8
    decel: float = 3.0
    encroach: float = 0.25  # share of the move after which the ego reacts
    stage_ahead: float = 60.0
    stage_share: float = 0.75
    after_s: float = 1.0
    room: float = 45.0  # m of open lane ahead of the ego


@dataclass(frozen=True)
class PedestrianSettings:
    cars: int = 3  # parked in a row; the pedestrian comes out of the last gap but one
    kerb_gap: float = 0.15  # between the lane's edge and the parked cars
    car_gap: float = 1.5
    walk_speed: Range = (1.2, 2.0)
    walk_accel: float = 2.0
    time_left_s: Range = (2.5, 3.0)  # the ego's time to the pedestrian when it comes out from behind the cars
    reaction_s: float = 0.3
    hesitate_s: Range = (0.6, 1.6)  # stands on the lane and looks
    clearance: float = 1.2  # lateral, beyond which the ego drives on
    stop_gap: float = 3.0
    child_share: float = 0.3
    over_s: float = 1.0


@dataclass(frozen=True)
class ObstacleSettings:
    ahead: Range = (110.0, 200.0)  # where it is put, out of sight
    kerb_overlap: Range = (0.25, 0.75)  # m of the obstacle's width that stands beyond the lane's right edge
    pass_gap: float = 0.45  # lateral, between ego and obstacle
    pass_speed: float = 4.5
    approach_decel: float = 2.0
    stop_gap: float = 7.0  # waits this far behind if the other lane is taken: room enough to swing out
    wait_s: float = 14.0  # so long it waits at most, then the obstacle drives off (a stalled vehicle)
    clear_ahead: float = 60.0  # of oncoming or neighbouring vehicles
    clear_behind: float = 14.0
    cones: int = 5
    cone_gap: float = 3.0  # along the lane
    taper: float = 0.42  # lateral from cone to cone
    over_gap: float = 6.0  # m beyond the obstacle where the event is over


@dataclass(frozen=True)
class CrossingSettings:
    ego_eta_s: Range = (2.6, 4.4)  # the ego's time to the conflict when the crossing vehicle shows its intention
    accel: float = 2.4
    speed: float = 9.0
    reaction_s: float = 0.4
    stop_gap: float = 2.5  # before the conflict
    clear: float = 0.8  # lateral, between the ego's path and the crossing vehicle
    ego_decel: float = 2.9
    search: float = 90.0  # m to the junction
    queue_gap: float = 12.0  # the runner is the first vehicle within this of its stop line
    far_from_stop_line: float = 30.0


@dataclass(frozen=True)
class WrongWaySettings:
    gap: Range = (55.0, 85.0)  # between ego and the oncoming vehicle when it moves over
    speed: Range = (6.0, 9.0)
    move_s: float = 2.2
    time_left_s: float = 1.9  # to the meeting, when it moves back
    back_gap: float = 14.0  # m between the bumpers when it has to be back
    slow_speed: float = 3.0  # the ego brakes to this while the other is on its side
    clear: float = 30.0  # no vehicle ahead of the ego within the gap + this
    decel: float = 2.4
    reaction_s: float = 0.5


@dataclass(frozen=True)
class BlockedSettings:
    ego_eta_s: Range = (3.0, 7.5)
    decel: Range = (1.0, 4.5)
    hold_s: Range = (2.0, 4.0)  # after the ego has stopped
    longest_s: float = 14.0
    stop_gap: float = 3.0
    clear: float = 0.5


@dataclass(frozen=True)
class RoundaboutSettings:
    ego_eta_s: Range = (1.5, 5.0)
    longest_s: float = 15.0
    stop_gap: float = 1.5
    conflict_s: float = 2.5  # a circulating vehicle this close in time to the conflict makes the ego wait
    within: float = 60.0  # m of circular road upstream that is looked at
    circle: float = 130.0  # m round the longest loop that counts as a roundabout
    aim_s: float = 1.0


@dataclass(frozen=True)
class EventConfig:
    """Which rare events happen to the egos and how.

    shares: (kind, weight) pairs; a weight is relative to the others. none_share is the weight of "no event".
    kinds_per_ego: how many different kinds are tried for one ego, one at a time.
    """

    shares: Tuple[Tuple[str, float], ...] = ()
    none_share: float = 0.0
    kinds_per_ego: int = 1
    rest_s: float = 8.0  # between two events of one ego
    driver: DriverSettings = field(default_factory=DriverSettings)
    place: PlaceSettings = field(default_factory=PlaceSettings)
    lead_brakes: LeadBrakesSettings = field(default_factory=LeadBrakesSettings)
    cut_in: CutInSettings = field(default_factory=CutInSettings)
    pedestrian: PedestrianSettings = field(default_factory=PedestrianSettings)
    obstacle: ObstacleSettings = field(default_factory=ObstacleSettings)
    crossing: CrossingSettings = field(default_factory=CrossingSettings)
    wrong_way: WrongWaySettings = field(default_factory=WrongWaySettings)
    blocked: BlockedSettings = field(default_factory=BlockedSettings)
    roundabout: RoundaboutSettings = field(default_factory=RoundaboutSettings)
