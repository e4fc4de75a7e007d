"""All numbers of a street. Metres, unless a name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Tuple

from latentvla_agent.world.meshes.shapes import Colour


@dataclass(frozen=True)
class MarkingConfig:
    """Road markings."""

    line_width: float = 0.14
    edge_inset: float = 0.18  # of the line's middle from the lane's edge
    centre_inset: float = 0.13
    dash: float = 3.0
    dash_gap: float = 5.0
    stop_width: float = 0.45
    stop_setback: float = 0.9  # of the stop line from a crosswalk
    stop_search: float = 14.0  # before a lane's end, where a crosswalk may lie across it
    stripe: float = 0.50  # of a crosswalk
    stripe_gap: float = 0.45
    crosswalk_inset: float = 0.15
    look_aside: float = 1.2  # beyond a lane's edge, where its neighbour is looked for
    samples: int = 5  # places along a lane where neighbours are looked for
    min_lane: float = 4.0  # shorter lanes have no lines
    bay_width: float = 2.6
    bay_depth: float = 5.0
    arrow_before_stop: float = 7.0
    arrow_min_lane: float = 25.0
    turn_angle: float = 0.6  # radians from which a connector turns


@dataclass(frozen=True)
class GroundConfig:
    """The ground's raster and what is raised from it."""

    resolution: float = 0.05
    max_cells: int = 60_000_000  # a larger street has coarser cells
    kerb_width: float = 0.15
    kerb_height: float = 0.12
    crosswalk_ramp: float = 0.4  # beside a crosswalk, where the walkway is at the road's height
    plain: float = 600.0  # how far the ground goes on beyond the street
    plain_cells: int = 12
    simplify: float = 0.03
    kerb_colour: Colour = (158, 156, 150)


@dataclass(frozen=True)
class BuildingConfig:
    """Buildings: footprints of whole bays, heights of whole floors, so that windows are never cut."""

    bay: float = 3.0
    floor: float = 3.0
    clearance: float = 0.8  # from drivable area and walkways
    step: float = 3.0  # from one try to the next along a road
    block: Tuple[float, float] = (45.0, 90.0)  # of one kind of buildings along a road
    kinds: Tuple[Tuple[str, int], ...] = (("row", 4), ("tower", 3), ("house", 4), ("park", 2))
    setback: Tuple[Tuple[str, float, float], ...] = (("row", 1.0, 3.5), ("tower", 2.5, 7.0), ("house", 5.0, 8.0))
    bays: Tuple[Tuple[str, int, int], ...] = (("row", 3, 6), ("tower", 5, 9), ("house", 3, 4))
    depths: Tuple[Tuple[str, int, int], ...] = (("row", 3, 5), ("tower", 5, 7), ("house", 3, 3))
    floors: Tuple[Tuple[str, int, int], ...] = (("row", 2, 5), ("tower", 5, 11), ("house", 1, 2))
    gaps: Tuple[Tuple[str, float, float], ...] = (("row", 0.0, 0.6), ("tower", 4.0, 14.0), ("house", 3.5, 8.0))
    row_gables: float = 0.4  # share of row houses with a gabled roof
    pitch: float = 0.75  # height of a gable, relative to half the depth
    overhang: float = 0.35
    roof_thickness: float = 0.16
    parapet: float = 0.6
    parapet_width: float = 0.3
    walls: Tuple[Colour, ...] = (
        (172, 96, 74), (196, 176, 146), (222, 214, 196), (150, 152, 156), (198, 150, 104), (128, 78, 62),
        (206, 204, 198), (170, 182, 178), (214, 190, 150), (140, 120, 108),
    )  # fmt: skip
    roofs: Tuple[Colour, ...] = ((122, 56, 44), (74, 70, 72), (96, 84, 76), (142, 78, 56))
    flat_roof: Colour = (112, 112, 114)


@dataclass(frozen=True)
class PlantConfig:
    """Trees, hedges."""

    tree_spacing: Tuple[float, float] = (9.0, 17.0)
    tree_offset: Tuple[float, float] = (1.2, 4.5)  # beyond drivable area and walkways
    far_offset: Tuple[float, float] = (8.0, 26.0)
    tree_height: Tuple[float, float] = (5.5, 10.5)
    crown: Tuple[float, float] = (1.5, 2.8)
    min_crown: float = 1.0
    slender: float = 4.0  # the most that a tree's height is, in radii of its crown
    conifer_share: float = 0.25
    trunk_radius: float = 0.17
    crown_clearance: float = 0.4  # of a crown from drivable area
    crown_bottom: float = 2.3
    max_trees: int = 340
    trunk_colour: Colour = (92, 70, 50)
    leaves: Tuple[Colour, ...] = ((64, 104, 46), (82, 120, 50), (52, 90, 48), (104, 128, 54), (70, 98, 62))
    needles: Tuple[Colour, ...] = ((40, 76, 50), (48, 84, 58), (34, 66, 48))
    hedge_offset: float = 0.9
    hedge_length: float = 5.0
    hedge_width: float = 0.7
    hedge_height: Tuple[float, float] = (0.8, 1.3)
    hedge_share: float = 0.35
    hedge_colour: Colour = (56, 92, 44)


@dataclass(frozen=True)
class FurnitureConfig:
    """Lamps, sign posts and traffic lights."""

    offset: float = 0.55  # beyond drivable area and walkways
    clearance: float = 0.35  # of anything from drivable area
    lamp_spacing: float = 30.0
    lamp_height: float = 7.0
    lamp_arm: float = 2.0
    lamp_radius: float = 0.08
    sign_spacing: float = 55.0
    sign_height: float = 2.5
    sign_radius: float = 0.35
    pole_colour: Colour = (104, 108, 112)
    light_colour: Colour = (255, 236, 196)
    signal_search: float = 12.0  # how far beside its lane a traffic light's pole may stand
    signal_step: float = 0.25
    signal_shifts: Tuple[float, ...] = (0.5, -1.0, 2.0, -2.5, 3.5)  # behind the lane's end
    signal_height: float = 3.5  # of the housing's middle, near the stop line
    far_signal_height: float = 4.6  # across the junction
    signal_arm: float = 2.5
    head_spacing: float = 0.62
    head_width: float = 0.50
    head_height: float = 1.25
    head_depth: float = 0.22
    lens_radius: float = 0.165
    lens_spacing: float = 0.38
    turn_angle: float = 0.6  # radians from which a connector turns
    housing_colour: Colour = (30, 32, 32)
    dark_lens: Colour = (52, 50, 48)
    lamps: Tuple[Tuple[str, Colour], ...] = (("r", (255, 30, 24)), ("y", (255, 190, 30)), ("g", (40, 255, 120)))


@dataclass(frozen=True)
class StreetConfig:
    """A street."""

    marking: MarkingConfig = field(default_factory=MarkingConfig)
    ground: GroundConfig = field(default_factory=GroundConfig)
    building: BuildingConfig = field(default_factory=BuildingConfig)
    plant: PlantConfig = field(default_factory=PlantConfig)
    furniture: FurnitureConfig = field(default_factory=FurnitureConfig)
