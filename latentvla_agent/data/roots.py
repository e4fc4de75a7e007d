"""Where logs, maps and sensor files lie: named by the user, by NAVSIM's environment variables, or embedded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional

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

    `synthetic_scenes` is the folder of NAVSIM v2.2's second stage, if not where NAVSIM looks for it.
    """

    logs: Path
    maps: Path
    sensors: Path
    synthetic_scenes: Optional[Path] = None

    @property
    def is_embedded(self) -> bool:
        """Whether the logs are those that are shipped inside the package."""
        return self.logs == EMBEDDED_FOLDER / "navsim_logs"


def find_roots(
    data: Optional[Path] = None,
    maps: Optional[Path] = None,
    environ: Mapping[str, str] = os.environ,
    synthetic_scenes: Optional[Path] = None,
) -> DataRoots:
    """Roots from `--data`, `--maps` and `--synthetic-scenes`, else from the environment, else the embedded data.

    Raises `DataError` naming a folder that was asked for and does not exist.
    """
    root = _require_folder(data, "--data") if data is not None else _find_variable_folder(environ, DATA_VARIABLE)
    if maps is not None:
        maps = _require_folder(maps, "--maps")
    elif root is not None and (data is None or not (root / "maps").is_dir()):
        maps = _find_variable_folder(environ, MAPS_VARIABLE)
    # NUPLAN_MAPS_ROOT is left aside for the embedded data: maps of real cities don't hold the embedded roads.
    root = root or _require_folder(EMBEDDED_FOLDER, "the embedded data")
    logs = _require_folder(root / "navsim_logs", "the logs")
    if synthetic_scenes is not None:
        _require_folder(synthetic_scenes, "--synthetic-scenes")
    return DataRoots(logs, maps or root / "maps", root / "sensor_blobs", synthetic_scenes)


def find_synthetic_scenes(roots: DataRoots, split: str) -> Path:
    """Folder of the synthetic scenes of a split: the one named, the split's own, or that of navhard, if it exists."""
    if roots.synthetic_scenes is not None:
        return roots.synthetic_scenes
    own, default = (roots.logs.parent / name / SYNTHETIC_FOLDER for name in (split, DEFAULT_TWO_STAGE_SPLIT))
    return own if own.is_dir() else default


def default_split(roots: DataRoots) -> str:
    """Split to take where none is named: the embedded one, or the only folder of logs; else `DataError`."""
    if roots.is_embedded:
        return EMBEDDED_SPLIT
    folders = list_splits(roots)
    if len(folders) == 1:
        return folders[0]
    raise DataError(f"{roots.logs}: expected a split to be named, the folders are: {', '.join(folders) or 'none'}")


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
