"""Puts finished towns together: the root of a split in NAVSIM's layout, which our readers and the devkit take as it is."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import yaml

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.log_writer import write_log
from latentvla_agent.data.logs import read_log
from latentvla_agent.data.map_writer import merge_maps, write_map_versions
from latentvla_agent.world.manifest import describe_world, write_manifest
from latentvla_agent.world.selection import find_kind
from latentvla_agent.world.splits import SplitConfig
from latentvla_agent.world.towns import LOGS_FOLDER, SLOTS, Town, town_map
from latentvla_agent.world.windows import FILTER, PLANNERS, Window, find_span

SPLIT_FOLDER = "train_test_split"  # NAVSIM's name for the group of its splits
SCENES_FILE = "scenes.csv"


def assemble(root: Path, towns: Mapping[Town, Path], config: SplitConfig, windows: Sequence[Window]) -> Dict[str, Any]:
    """Write logs, maps, split and manifest below `root` from the folders of finished towns; returns the manifest.

    Of an evaluated log only the frames that its windows need are kept.
    """
    by_log = _group(windows)
    used = {town: folder for town, folder in towns.items() if _logs_of(folder) & set(by_log)}
    logs = root / "navsim_logs" / config.name
    for folder in used.values():
        for name in sorted(_logs_of(folder) & set(by_log)):
            _place_log(folder / LOGS_FOLDER / f"{name}.pkl", logs / f"{name}.pkl", by_log[name], config)
    for slot in SLOTS:
        parts = [town_map(town, folder) for town, folder in used.items() if town.slot == slot]
        if parts:
            merge_maps(parts, town_map_path(root, slot.location), slot.projection)
    write_map_versions(root / "maps")
    _write_split(root, config, windows)
    _write_scenes(root, windows)
    manifest = describe_world(root, config, _count(config, windows, len(used)))
    write_manifest(root, manifest)
    return manifest
