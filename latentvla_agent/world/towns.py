"""Builds one town of a split: roads, map, traffic, drives, and the windows of these that the split's rules allow."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.log_writer import write_log
from latentvla_agent.data.logs import LogFrame
from latentvla_agent.data.map_writer import write_map, write_map_versions
from latentvla_agent.world.splits import SplitConfig
from latentvla_agent.world.windows import Window, cut_windows, find_span

WINDOWS_FILE = "windows.json"  # of a finished town
LOGS_FOLDER, MAPS_FOLDER = "logs", "maps"


@dataclass(frozen=True)
class Slot:
    """One of the four places that NAVSIM's maps have: its UTM zone, and a corner [m] from where our towns are laid out."""

    location: str
    projection: str
    corner: Tuple[int, int]


SLOTS = (
    Slot("sg-one-north", "EPSG:32648", (300_000, 120_000)),
    Slot("us-ma-boston", "EPSG:32619", (300_000, 4_650_000)),
    Slot("us-nv-las-vegas-strip", "EPSG:32611", (640_000, 3_970_000)),
    Slot("us-pa-pittsburgh-hazelwood", "EPSG:32617", (560_000, 4_440_000)),
)
SPACING_M = 4_000  # from town to town: nothing of one is seen in another
TOWNS_A_ROW = 6
IDS_A_TOWN = 100_000


@dataclass(frozen=True)
class Town:
    """A town by number; everything about it follows from the split and the number."""

    split: SplitConfig
    number: int

    @property
    def name(self) -> str:
        """Name, unique among all splits."""
        return f"{self.split.name}-{self.number:03d}"

    @property
    def seeds(self) -> np.random.SeedSequence:
        """Where all chance in the town comes from."""
        return np.random.SeedSequence((self.split.seed, self.number))

    @property
    def slot(self) -> Slot:
        """The city whose map the town is part of."""
        return SLOTS[self.number % len(SLOTS)]

    @property
    def offset(self) -> Tuple[float, float]:
        """UTM position [m] of the town frame's origin."""
        row, column = divmod(self.number // len(SLOTS), TOWNS_A_ROW)
        return (self.slot.corner[0] + column * float(SPACING_M), self.slot.corner[1] + row * float(SPACING_M))

    @property
    def first_id(self) -> int:
        """First FID of the town's map objects."""
        return (1 + self.number // len(SLOTS)) * IDS_A_TOWN
