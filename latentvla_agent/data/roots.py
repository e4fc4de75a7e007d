"""Where logs, maps and sensor files lie: named by the user, by NAVSIM's environment variables, or embedded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional

from latentvla_agent.data.worlds import DEFAULT_WORLD, find_world, is_world, list_shipped
from latentvla_agent.errors import DataError

EMBEDDED_FOLDER = Path(__file__).resolve().parent.parent / "embedded"
EMBEDDED_SPLIT = "embedded"
DATA_VARIABLE = "OPENSCENE_DATA_ROOT"
MAPS_VARIABLE = "NUPLAN_MAPS_ROOT"
SYNTHETIC_FOLDER = "synthetic_scene_pickles"
DEFAULT_TWO_STAGE_SPLIT = "navhard_two_stage"  # whose folder NAVSIM's own default names for every split


@dataclass(frozen=True)
class DataRoots:
    """Folders of logs (`navsim_logs`), maps and sensor files (`sensor_blobs`). Only `logs` is known to exist.

    `synthetic_scenes` is the folder of NAVSIM v2.2's second stage, if not where NAVSIM looks for it. `is_embedded`: the
    data comes with this package (its logs, or its world), nobody named a folder.
    """

    logs: Path
    maps: Path
    sensors: Path
    synthetic_scenes: Optional[Path] = None
    is_embedded: bool = False

    @property
    def config_folder(self) -> Path:
        """The folder that may hold splits of its own (`train_test_split/`), as those of the embedded world do."""
        return self.logs.parent


def find_roots(
    data: Optional[Path] = None,
    maps: Optional[Path] = None,
    environ: Mapping[str, str] = os.environ,
    synthetic_scenes: Optional[Path] = None,
    split: Optional[str] = None,
) -> DataRoots:
    """Roots from `--data`, `--maps` and `--synthetic-scenes`, else from the environment, else the embedded data.

    The name of a `split` of the embedded world, or of the embedded logs, means these unless `--data` says otherwise.
    Raises `DataError` naming a folder that was asked for and does not exist.
    """
    if synthetic_scenes is not None:
        _require_folder(synthetic_scenes, "--synthetic-scenes")
    root = _find_named_root(data, environ, split)
    if maps is not None:
        maps = _require_folder(maps, "--maps")
    elif root is not None and (data is None or not (root / "maps").is_dir()):
        maps = _find_variable_folder(environ, MAPS_VARIABLE)
    # NUPLAN_MAPS_ROOT is left aside for the embedded data: maps of real cities don't hold the embedded roads.
    is_embedded = root is None
    if root is None:
        root = _find_embedded_root(split, environ)
    logs = _require_folder(root / "navsim_logs", "the logs")
    return DataRoots(logs, maps or root / "maps", root / "sensor_blobs", synthetic_scenes, is_embedded)


def _find_named_root(data: Optional[Path], environ: Mapping[str, str], split: Optional[str]) -> Optional[Path]:
    """The folder that the user or the environment names; None where the embedded data is meant."""
    if data is not None:
        return _require_folder(data, "--data")
    if split is not None and (split == EMBEDDED_SPLIT or is_world(split)):
        return None
    return _find_variable_folder(environ, DATA_VARIABLE)


def _find_embedded_root(split: Optional[str], environ: Mapping[str, str]) -> Path:
    if split == EMBEDDED_SPLIT:
        return EMBEDDED_FOLDER
    return find_world(split if split is not None and is_world(split) else DEFAULT_WORLD, environ)


def find_synthetic_scenes(roots: DataRoots, split: str) -> Path:
    """Folder of the synthetic scenes of a split: the one named, the split's own, or that of navhard, if it exists."""
    if roots.synthetic_scenes is not None:
        return roots.synthetic_scenes
    own, default = (roots.logs.parent / name / SYNTHETIC_FOLDER for name in (split, DEFAULT_TWO_STAGE_SPLIT))
    return own if own.is_dir() else default


def default_split(roots: DataRoots) -> str:
    """Split to take where none is named: the only folder of logs; else `DataError`."""
    folders = list_splits(roots)
    if len(folders) == 1:
        return folders[0]
    raise DataError(f"{roots.logs}: expected a split to be named, the folders are: {', '.join(folders) or 'none'}")


def list_embedded_splits() -> List[str]:
    """Names of the splits that come with the package."""
    return [EMBEDDED_SPLIT, *list_shipped()]


def list_splits(roots: DataRoots) -> List[str]:
    """Names of the log folders, sorted."""
    return sorted(path.name for path in roots.logs.iterdir() if path.is_dir() and not path.name.startswith("."))


def _find_variable_folder(environ: Mapping[str, str], variable: str) -> Optional[Path]:
    value = environ.get(variable, "")
    return _require_folder(Path(value), f"environment variable {variable}") if value else None


def _require_folder(folder: Path, asked_by: str) -> Path:
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder ({asked_by}), got {'a file' if folder.exists() else 'nothing'}")
    return folder
