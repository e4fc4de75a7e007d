"""A split of two small towns, which join one map: what the tests of towns, windows and assembly share."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Dict

from latentvla_agent.data.digests import digest_map
from latentvla_agent.data.files import hash_file
from latentvla_agent.data.map_writer import is_stub
from latentvla_agent.world.splits import SplitConfig, WindowRules
from latentvla_agent.world.towns import CORNERS, Town, build_town

SMALL = SplitConfig(
    "minitown-small",
    seed=7,
    scenes=10,
    rules=WindowRules(is_scored=False, per_log=2, min_gap=4),
    min_logs=3,
    events=(("lead_brakes_hard", 1.0),),
    weather=(("clear", 0.5), ("rain", 0.5)),
    egos=2,
    duration_s=28.0,
    drive_s=12.0,
)
TOWNS = (Town(SMALL, 0), Town(SMALL, len(CORNERS)))  # both in the first location


def build_towns(folder: Path) -> Dict[Town, Path]:
    """Folders of the towns by town."""
    folders = {town: folder / str(town.number) for town in TOWNS}
    for town, path in folders.items():
        build_town(town, path)
    return folders


def digest_town(folder: Path) -> str:
    """SHA-256 of all that a finished town consists of."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix == ".gpkg" and is_stub(path):
            continue  # the empty map of another location
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update((digest_map(path) if path.suffix == ".gpkg" else hash_file(path)).encode())
    return digest.hexdigest()
