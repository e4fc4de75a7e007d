"""Every number of a generated road network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from latentvla_agent.errors import DataError

KINDS = ("grid", "spider", "random", "opendrive")


@dataclass(frozen=True)
class TopologyConfig:
    """Junctions and which of them are joined (netgenerate)."""

    grid_junctions: Tuple[int, int] = (4, 6)  # a side, least and most
    grid_spacing_m: Tuple[float, float] = (125.0, 165.0)
    arm_length_m: float = 110.0  # roads that leave the town
    spider_arms: Tuple[int, int] = (6, 8)
    spider_rings: Tuple[int, int] = (3, 4)
    spider_spacing_m: Tuple[float, float] = (110.0, 130.0)
    random_roads: Tuple[int, int] = (45, 70)
    random_distance_m: Tuple[float, float] = (130.0, 210.0)
    random_angle_deg: float = 62.0
    jitter_m: float = 18.0  # of a junction's place, in grids and spiders
    dropped_share: float = 0.12  # of the roads between junctions, in grids and spiders
    apart_m: float = 45.0  # least, between the chords of roads without a common junction
    joined_m: float = 260.0  # the two roads of a junction that has no third become one, if its ends are so near
    joined_angle_deg: float = 50.0  # and no road comes closer to its neighbours there


@dataclass(frozen=True)
class BendConfig:
    """Courses of the roads between junctions."""

    straight_share: float = 0.08
    lead_m: float = 16.0  # straight before a junction, so that its mouth is regular
    sway_every_m: float = 150.0  # one bulge for so much chord
    turn_deg: float = 42.0  # a road leaves its junction at most so far from the chord
    least_turn: float = 0.35  # and at least so much of that
    gap_deg: float = 70.0  # wanted between neighbouring roads of a junction
    settle_rounds: int = 40
    sway_m: Tuple[float, float] = (10.0, 26.0)  # of a bulge to the left or right, before it is made calmer
    radius_m: float = 24.0  # least, of the inner border
    clearance_m: float = 5.0  # between the borders of two roads
    strongest: float = 2.0  # the bends that are tried first are so much of what was drawn
    calmer: float = 0.87  # a road without room or with tight bends is bent by so much less
    tries: int = 22
    step_m: float = 1.5  # between vertices


@dataclass(frozen=True)
class StreetConfig:
    """Cross-sections, speeds and priorities."""

    lane_shares: Tuple[float, ...] = (0.6, 0.28, 0.09, 0.03)  # of 1, 2, 3, 4 lanes per direction
    narrow_share: float = 0.55  # of the roads, at least, have one lane per direction
    through_deg: float = 40.0  # two roads of a junction that bend less form one through road of one cross-section
    one_way_share: float = 0.14
    widths_m: Tuple[float, ...] = (3.2, 3.4, 3.5, 3.6, 3.8)
    slow_speeds_mps: Tuple[float, ...] = (8.0, 9.72, 9.72, 11.11, 13.89)  # wished for, one lane per direction
    fast_speeds_mps: Tuple[float, ...] = (9.72, 11.11, 13.89, 13.89, 16.67, 19.44)  # of wider roads
    side_acceleration: float = 2.2  # m/s^2, at the speed limit in the tightest bend
    sidewalk_share: float = 0.72
    sidewalk_m: float = 2.0
    bicycle_lane_share: float = 0.12
    bicycle_lane_m: float = 1.5


@dataclass(frozen=True)
class JunctionConfig:
    """Kinds and shapes of junctions (netconvert)."""

    signal_share: float = 0.4
    right_before_left_share: float = 0.4  # of what is left, where all roads are narrow
    roundabout_share: float = 0.12
    roundabout_radius_m: Tuple[float, float] = (25.0, 30.0)
    roundabout_gap_deg: float = 72.0  # at least, between its arms
    roundabout_mps: float = 8.33
    corner_radius_m: float = 9.0
    narrowing_rounds: int = 4  # networks built until every lane has a way on
    detail: int = 24  # points of a turn
    turn_acceleration: float = 2.5  # m/s^2, sets the speed limit of turns


@dataclass(frozen=True)
class SmoothingConfig:
    """Lines of lanes and connectors."""

    lane_step_m: float = 1.0  # between vertices
    connector_step_m: float = 0.5
    turn_radius_m: float = 6.5  # turns that are tighter are made longer, at the cost of the lanes before and behind
    least_connector_m: float = 1.0  # lanes of imported roads may touch; so much is made room for between them
    trim_m: float = 1.5  # by so much at a time
    trim_rounds: int = 6
    least_lane_m: float = 12.0  # no lane is made shorter
    least_mps: float = 2.5  # speed limit of the tightest turn


@dataclass(frozen=True)
class NetworkConfig:
    """A town's network: `kind` and `seed` are enough; `opendrive` is the file to import for that kind."""

    kind: str = "grid"
    seed: int = 0
    opendrive: Optional[Path] = None
    topology: TopologyConfig = TopologyConfig()
    bends: BendConfig = BendConfig()
    streets: StreetConfig = StreetConfig()
    junctions: JunctionConfig = JunctionConfig()
    smoothing: SmoothingConfig = SmoothingConfig()
    margin_m: float = 60.0  # around the junctions
    extent_m: float = 1800.0  # every network lies in [0, extent]^2
    precision: int = 3  # digits after the point in network files

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"network kind {self.kind!r}: expected one of {', '.join(KINDS)}")
        if (self.kind == "opendrive") != (self.opendrive is not None):
            raise DataError(
                f"network kind {self.kind!r}: a file `opendrive` belongs to the kind opendrive and to no other"
            )
