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
    standstill_gap: float = 3.0  # to whatever it stops for
    ease_speed: float = 1.2  # below it the brake is let go in proportion to the speed, so that the stop has no jolt
    least_decel: float = 0.35
    shortest_run: float = 0.3
    ease_s: float = 1.0  # an obstacle nearer than this keeps the brake on
    cruise_s: float = 1.0  # in which it would reach the speed that it means to drive
    cruise_accel: float = 1.5
    shift_time_s: float = 3.0  # a swerve takes this long ...
    shift_length: Range = (12.0, 32.0)  # ... inside these lengths


@dataclass(frozen=True)
class PlaceSettings:
    """Where an event may happen, and what may be staged out of the ego's sight."""

    tries: int = 6  # places that are tried until the event has happened ...
    retry_s: float = 10.0  # ... with this pause, in which other kinds may try
    settle_s: float = 3.0  # the ego has driven this long: a window needs its history
    search_every: int = 4  # steps between two looks for a place
    look_ahead: float = 260.0
    sight: float = 80.0  # nothing appears or disappears closer to its ego than this ...
    others_sight: float = 50.0  # ... nor closer than this to the others
    ego_speed: float = 5.5  # the least at which an event starts
    ego_length: float = 5.176
    ego_width: float = 2.297
    after_junction: float = 14.0  # m of lane between a junction and an event on the open road
    before_junction: float = 16.0
    pace_share: float = 0.6  # somebody ahead is slowed to this share of the ego's speed so that the ego closes up ...
    pace_speed: float = 3.5  # ... but not below this
    pace_s: float = 2.0
    pace_reach: float = 170.0
    props_apart: float = 45.0  # between the props of two events
    room: float = 14.0  # between vehicles that are sent and others on the lane
    models: Tuple[str, ...] = ("sedan", "hatchback", "suv", "van")
    walker_room: float = 0.45  # walkers who come so near to things that stand there would walk through them
    route_edges: int = 14  # of vehicles that are sent
    straightness: float = 0.12  # rad of turning inside the place, at most


@dataclass(frozen=True)
class LeadBrakesSettings:
    gap: Range = (7.0, 26.0)
    gap_s: float = 2.1  # nor further ahead than the ego drives in this time
    decel: Range = (3.5, 7.0)
    ego_decel: float = 3.1  # the lead brakes only as hard as lets the ego stay at or below this
    reaction_s: float = 0.7  # reaction and rise of the brake, taken into account when the lead's decel is chosen
    lead_speed: float = 4.6
    beside: float = 1.0  # m beside the ego's line it may drive
    final_speed: Range = (0.0, 1.0)
    hold_s: Range = (2.5, 4.5)
    over_s: float = 1.5  # the event stays on this long after the lead drives on
    attention: float = 100.0
    insert_ahead: Range = (84.0, 140.0)  # a lead is sent there if there is none


@dataclass(frozen=True)
class CutInSettings:
    ahead: Range = (4.5, 8.5)  # rear bumper of the cutter ahead of the ego's front bumper when it starts to move over
    least_speed_gap: float = 6.0  # it may be so much slower than the ego when it starts
    slow_to: Range = (0.35, 0.55)  # it brakes to this share of the ego's speed
    move_s: Range = (2.0, 2.6)  # of the move to the next lane, at the speed at its start
    least_length_m: float = 22.0  # of the move
    hold_s: Range = (2.0, 3.0)
    ego_decel: float = 2.8
    cutter_decel: float = 3.2
    least_length: float = 3.5  # of the cutter: no bicycles
    slow_share: float = 0.45  # of the move after which the cutter slows down
    encroach: float = 0.25  # share of the move after which the ego reacts
    stage_ahead: float = 60.0
    follow_gap: float = 18.0  # to a vehicle that is to become the cutter, before it is on the next lane
    stage_share: float = 0.75  # of the ego's speed, while the ego draws up to it
    after_s: float = 1.0
    insert_ahead: Range = (84.0, 140.0)  # a slow vehicle is sent there if there is none
    room: float = 45.0  # m of open lane ahead of the ego


@dataclass(frozen=True)
class PedestrianSettings:
    cars: int = 3  # parked in a row; the pedestrian comes out before the last of them
    models: Tuple[str, ...] = ("sedan", "hatchback", "suv", "van")
    kerb_gap: float = 0.25  # between the lane's edge and the parked cars
    car_gap: float = 1.5
    row_step: float = 5.5  # about a car's length
    walk_speed: Range = (1.2, 2.0)
    walk_accel: float = 2.0
    spare_s: Range = (1.1, 1.5)  # the ego's time to the pedestrian when it comes out, beyond what braking takes
    ego_decel: float = 2.7
    center_gap: float = 55.0  # the ego drives in the middle of its lane from here on
    peek: float = 0.3  # this far behind the cars' inner side it can already be seen
    pause_left: Range = (-0.5, 0.6)  # where on the ego's lane it stands and looks
    reaction_s: float = 0.2
    stop_gap: float = 1.0  # so much further away than from anything else it stops
    hesitate_s: Range = (0.5, 1.5)
    calm_speed: float = 0.6  # of the ego, before the pedestrian walks on
    clearance: float = 0.6  # lateral, beyond which the ego drives on
    child_share: float = 0.3
    oncoming_clear: float = 75.0
    behind_clear: float = 25.0
    far_side: float = 1.2  # beyond the far kerb
    attention: float = 60.0


@dataclass(frozen=True)
class DetourSettings:
    """A stalled vehicle, or road works with cones: part of the ego's lane is taken, the ego swings out."""

    works_model: str = "van"
    kerb_overlap: Range = (0.3, 0.9)  # m of the obstacle's width that stands beyond the lane's right edge
    room_behind: float = 30.0  # m of open road between the last junction and the obstacle
    room_ahead: float = 22.0  # and from it to the next one
    watch_gap: float = 90.0  # from here on the ego is driven for the obstacle, not by SUMO's far-sighted drivers
    on_s: float = 3.7  # the event is on when the ego is so near in time, or brakes
    stuck_speed: float = 1.0
    start_decel: float = 1.9
    decel: float = 2.4  # to the passing speed
    pass_gap: float = 0.6  # lateral, between ego and obstacle
    pass_speed: float = 5.0
    swing_length: float = 11.0
    swing_margin: float = 1.0  # the ego is at its full offset this far before the obstacle
    swing_start_s: float = 0.9  # decides to swing out so long before the place where it has to
    swing_room: float = 0.5  # waits this much behind the place where it has to start swinging out
    patience_s: float = 16.0  # so long it waits at most for the other lane, then the obstacle drives off
    line_gap: float = 1.0  # to the line of a junction that is not open
    restart_gap: float = 12.0  # a stalled vehicle drives off when the ego is so far past, at the earliest
    side_clear: float = 0.25  # lateral, to others while passing
    behind_clear: float = 15.0
    time_margin_s: float = 1.0
    others_speed: float = 3.0  # an oncoming vehicle is taken to be at least so fast
    attention: float = 120.0
    over_gap: float = 8.0
    cones: int = 5
    cone_gap: float = 2.0  # along the lane
    cone_size: Tuple[float, float, float] = (0.36, 0.36, 0.75)
    cone_outside: float = 0.5  # of the last cone, to the left of the vehicle's side
    longest_s: float = 60.0


@dataclass(frozen=True)
class CrossingSettings:
    """What a red-light runner and a vehicle that blocks the junction share: they come from the crossing road."""

    stage: Range = (84.0, 140.0)  # m to the junction when a vehicle is sent to the crossing road's line
    adopt: float = 45.0  # m to it, at least, when one that waits there anyway is taken
    adopt_gap: float = 12.0  # to its line, at most
    ego_speed: float = 4.5  # the least at which the other one starts
    ego_turn: float = 2.0  # rad that the ego turns in the junction, at most
    line_gap: Range = (1.0, 3.0)  # so far before its line it waits
    give_up_s: float = 25.0
    look_every: int = 2  # steps, while it waits
    light_reach: float = 90.0  # the lights turn to the ego's favour from here on
    least_phase_s: float = 0.3  # that is left of a phase that holds the ego up
    green_s: float = 4.0  # that is left of one that lets it go, at least
    ego_eta_s: Range = (2.3, 6.0)  # the ego's time to the conflict when the runner starts
    accel: float = 2.6
    reaction_s: float = 0.3
    clear: float = 0.5  # lateral, between the ego's path and the other one
    ego_decel: float = 2.9
    start_decel: float = 2.0
    overrun: float = 1.5  # m beyond its stop where the ego still stays for the other one
    search: float = 90.0
    attention: float = 140.0
    calm_radius: float = 15.0  # nobody else moves towards the conflict within this
    moving: float = 1.0
    ahead_clear_s: float = 0.3  # between somebody ahead of the ego and the other one
    past: float = 1.2  # the ego may go when the other one is so far beyond its path
    longest_s: float = 14.0
    on_s: float = 3.7  # the event is on when the ego is so near in time, or brakes
    leader_gap: float = 4.0  # the other one doesn't run into somebody so near ahead of it
    hardest_decel: float = 5.0
    runner_speed: float = 9.0
    ahead_s: Range = (-0.2, 0.7)  # the runner's front is at the conflict so much earlier than the ego would be
    blocker_speed: float = 5.0
    blocker_eta_s: Range = (2.7, 6.0)
    blocker_decel: float = 2.5
    stand_share: float = 0.85  # of its way across the ego's path, where the blocker stands
    hold_s: Range = (2.0, 4.0)  # after the ego has stopped
    calm_speed: float = 0.6
    over_s: float = 1.0


@dataclass(frozen=True)
class WrongWaySettings:
    stage: Range = (84.0, 125.0)  # an oncoming vehicle is sent so far ahead if there is none
    end_clear: float = 4.0  # of the road behind it
    most_sent: int = 2
    gap: Range = (48.0, 98.0)  # between ego and the oncoming vehicle when it moves over
    speed: Range = (5.5, 8.0)
    sent_speed: float = 6.0
    beside: float = 1.0  # m beside the ego's strip that have to be free
    shift: Range = (2.2, 5.2)  # m between the two lanes' middles
    move_length: float = 20.0
    back_length: float = 13.0
    near_speed: float = 3.5  # the oncoming vehicle has slowed to this when it has to go back
    back_gap: float = 18.0  # m between the bumpers when it starts to move back
    ego_stop_gap: float = 6.0  # the ego means to stand so far from the place where the other moves back
    decel: float = 2.0
    clear: float = 10.0  # of other vehicles beyond the two
    seen_share: float = 0.3  # of the move, from which on the ego reacts
    ego_decel: float = 2.9
    notice_s: float = 1.3  # until the ego brakes
    slowing_share: float = 0.7  # mean speed of the other one, who slows down too, as a share of its speed
    longest_s: float = 20.0


@dataclass(frozen=True)
class RoundaboutSettings:
    ego_speed: float = 4.0  # drivers slow down before a roundabout
    ego_eta_s: Range = (1.6, 4.5)  # the ego's time to the entry when it has to give way
    search: float = 60.0
    circle: float = 190.0  # m round the longest loop of roads that counts as a roundabout
    circle_edges: int = 8
    stage: Range = (84.0, 175.0)  # m to the entry when vehicles are sent into the ring
    sent: int = 4
    give_up_s: float = 30.0
    rounds: int = 2
    upstream: float = 85.0  # m of circular road before the entry that are looked at
    on_s: float = 2.7  # the event is on when the ego is so near in time to the entry
    meeting_s: Range = (-1.2, 3.0)  # a circulating vehicle arrives so much later than the ego would
    arranged_s: float = 0.8  # somebody is made to arrive so much later ...
    approach_speed: float = 7.0  # ... than the ego, which slows down to this
    speed: Range = (3.5, 8.0)  # of circulating vehicles, which are timed to meet the ego
    accel: float = 1.5
    stop_gap: float = 0.5  # before the entry
    past: float = 3.0  # m beyond the entry where a circulating vehicle no longer matters
    longest_s: float = 15.0


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
    detour: DetourSettings = field(default_factory=DetourSettings)
    crossing: CrossingSettings = field(default_factory=CrossingSettings)
    wrong_way: WrongWaySettings = field(default_factory=WrongWaySettings)
    roundabout: RoundaboutSettings = field(default_factory=RoundaboutSettings)
