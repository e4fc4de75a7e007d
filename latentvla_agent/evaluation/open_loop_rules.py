"""Whose rules an open-loop number on nuScenes follows. The same plans score .7 m or .35 m, by rules alone.

What differs: which samples count, which objects, how collisions are found, and whether a number for 3 s is the value at
3 s or the mean up to there. Every result carries its rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Mapping, Optional, Tuple

from latentvla_agent.data.scene import LOG_INTERVAL_S
from latentvla_agent.errors import ConfigError

HORIZONS_S = (1, 2, 3)
STEPS = tuple(int(round(horizon / LOG_INTERVAL_S)) for horizon in HORIZONS_S)  # up to and with each horizon
NUM_STEPS = STEPS[-1]
VEHICLES = (
    "vehicle.bicycle",
    "vehicle.bus.",
    "vehicle.car",
    "vehicle.construction",
    "vehicle.motorcycle",
    "vehicle.trailer",
    "vehicle.truck",
)


class Counting(Enum):
    """What becomes of steps that the drive no longer has, at the end of each of nuScenes' scenes."""

    ZEROS = "zeros"  # they count as driven without error and collision: 6,019 samples at every step
    COMPLETE = "complete"  # samples without the whole horizon are left out: 5,119
    STEPS = "steps"  # each step counts where it is there


class Summary(Enum):
    """What a number for a horizon is."""

    AT = "at"  # the value at that time
    UP_TO = "up_to"  # the mean of all steps up to it


@dataclass(frozen=True)
class OpenLoopRules:
    """One protocol; lengths in metres, along the ego's axis from the rear axle.

    `headline`: the summary that its authors print; both are always computed. `categories`: prefixes of nuScenes' names
    of the objects that can be hit. `turns`: the ego's box points along the planned heading, else along the present one.
    `cell`: width of the cells in which collisions are looked for, up to `reach` to each side; None: exact boxes. Steps
    in which the human's own box hits something count as no collision: a fault of the annotation, or of the box.
    """

    name: str
    headline: Summary
    counting: Counting
    categories: Tuple[str, ...]
    turns: bool
    cell: Optional[float]
    reach: float = 50.0
    ego_length: float = 4.084
    ego_width: float = 1.85  # with mirrors
    ego_center: float = 1.44
    reference: float = 0.94  # the lidar: the literature's plans are paths of it

    def __post_init__(self) -> None:
        if min(self.ego_length, self.ego_width, self.reach) <= 0 or not (self.cell is None or self.cell > 0):
            raise ConfigError(f"expected lengths above 0 m, got {self}")
        if self.cell is not None and self.turns:
            raise ConfigError(f"rules {self.name}: a box in cells does not turn: expected turns or cell, got both")


UNIAD = OpenLoopRules("uniad", Summary.AT, Counting.ZEROS, VEHICLES, turns=False, cell=0.5)
VAD = OpenLoopRules("vad", Summary.UP_TO, Counting.COMPLETE, ("vehicle.", "human."), turns=False, cell=0.5)
# After PARA-Drive, not checked against its numbers: all road users, the planned heading, no coarse grid. That every
# sample counts as far as it goes is ours.
STANDARDISED = OpenLoopRules("standardised", Summary.AT, Counting.STEPS, ("vehicle.", "human."), turns=True, cell=None)
RULES: Mapping[str, OpenLoopRules] = MappingProxyType({rules.name: rules for rules in (UNIAD, VAD, STANDARDISED)})
