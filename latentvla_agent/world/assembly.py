"""Puts finished towns together: the root of a split in NAVSIM's layout, for our readers and the devkit alike."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Sequence

import numpy as np
import yaml

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.log_writer import write_log
from latentvla_agent.data.logs import read_log
from latentvla_agent.data.map_layers import MapLayer
from latentvla_agent.data.map_writer import GEOMETRY_TYPES, LOCATIONS, map_path, write_map, write_map_versions
from latentvla_agent.data.maps import CityMap
from latentvla_agent.world.manifest import describe_world, write_manifest
from latentvla_agent.world.selection import find_kind
from latentvla_agent.world.splits import SplitConfig
from latentvla_agent.world.towns import LOGS_FOLDER, MAPS_FOLDER, Town
from latentvla_agent.world.windows import FILTER, PLANNERS, Window

SPLIT_FOLDER = "train_test_split"  # NAVSIM's name for the group of its splits
SCENES_FILE = "scenes.csv"
SCORE_DECIMALS = 9


def assemble(root: Path, towns: Mapping[Town, Path], config: SplitConfig, windows: Sequence[Window]) -> Dict[str, Any]:
    """Write logs, maps, split and manifest below `root` from the folders of finished towns; returns the manifest.

    Of an evaluated log only the frames that its windows need are kept. What an earlier edition of the split left is
    removed first.
    """
    for name in ("navsim_logs", "maps", SPLIT_FOLDER):
        shutil.rmtree(root / name, ignore_errors=True)
    by_log: Dict[str, List[Window]] = {}
    for window in windows:
        by_log.setdefault(window.log, []).append(window)
    used: Dict[Town, Path] = {}
    for town, folder in towns.items():
        logs = [path for path in sorted((folder / LOGS_FOLDER).glob("*.pkl")) if path.stem in by_log]
        for path in logs:
            target = root / "navsim_logs" / config.name / path.name
            if config.rules.per_log is None:
                write_atomically(target, path.read_bytes(), durable=False)
            else:
                _trim_log(path, target, by_log[path.stem])
        if logs:
            used[town] = folder
    _write_maps(root / "maps", used)
    _write_split(root / SPLIT_FOLDER / f"{config.name}.yaml", config, windows)
    _write_scenes(root / SCENES_FILE, windows)
    manifest = describe_world(root, config, _count(config, windows, len(used)))
    write_manifest(root, manifest)
    return manifest


def _trim_log(source: Path, target: Path, windows: Sequence[Window]) -> None:
    starts = [window.start for window in windows]
    write_log(target, read_log(source)[min(starts) : max(starts) + FILTER.num_frames], durable=False)


def _write_maps(maps: Path, towns: Mapping[Town, Path]) -> None:
    """One map per location, of all its towns: their ids and places don't meet."""
    for location, slot in LOCATIONS.items():
        parts = [
            CityMap(map_path(folder / MAPS_FOLDER, location))
            for town, folder in towns.items()
            if town.location == location
        ]
        if parts:
            layers = {name: _join([part.layer(name) for part in parts]) for name in GEOMETRY_TYPES}
            write_map(map_path(maps, location), layers, slot.projection)
    write_map_versions(maps)


def _join(layers: Sequence[MapLayer]) -> MapLayer:
    columns = {name: np.concatenate([layer.columns[name] for layer in layers]) for name in layers[0].columns}
    return MapLayer(
        np.concatenate([layer.ids for layer in layers]), np.concatenate([layer.geometry for layer in layers]), columns
    )


def _write_split(path: Path, config: SplitConfig, windows: Iterable[Window]) -> None:
    """The split as NAVSIM has its own: `--config-dir ROOT` makes `train_test_split=<name>` work in its scripts.

    The map has no say in which windows an unscored split holds: latent actions are learned from it.
    """
    scene_filter = {
        "_target_": "navsim.common.dataclasses.SceneFilter",
        "_convert_": "all",
        "num_history_frames": FILTER.num_history_frames,
        "num_future_frames": FILTER.num_future_frames,
        "frame_interval": FILTER.frame_interval,
        "has_route": FILTER.has_route and config.rules.is_scored,
        "max_scenes": None,
        "log_names": sorted({window.log for window in windows}),
        "tokens": [window.token for window in windows],
    }
    content = yaml.safe_dump({"data_split": config.name, "scene_filter": scene_filter}, sort_keys=False)
    write_atomically(path, content.encode())


def _write_scenes(path: Path, windows: Iterable[Window]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["token", "log", "kind", "kinds", *PLANNERS])
    for window in windows:
        scores = dict(window.scores)
        values = [f"{scores[name]:.{SCORE_DECIMALS}f}" if name in scores else "" for name in PLANNERS]
        table.writerow([window.token, window.log, find_kind(window), "|".join(window.kinds), *values])
    write_atomically(path, text.getvalue().encode())


def _count(config: SplitConfig, windows: Sequence[Window], num_towns: int) -> Dict[str, Any]:
    kinds = [find_kind(window) for window in windows]
    return {
        "scenes": len(windows),
        "logs": len({window.log for window in windows}),
        "towns": num_towns,
        "kinds": {kind: kinds.count(kind) for kind in config.rare_kinds},
    }
