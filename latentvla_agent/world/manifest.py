"""What a split consists of, file by file: written with every world, committed for the full ones, compared at the end.

Logs and splits are named by the SHA-256 of their bytes, maps by a digest of their content: the bytes of a GeoPackage
depend on the version of GDAL that wrote it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from latentvla_agent.data.digests import digest_map
from latentvla_agent.data.files import hash_file, write_atomically
from latentvla_agent.data.map_writer import is_stub
from latentvla_agent.data.worlds import MANIFEST_FILE
from latentvla_agent.world.splits import SplitConfig

COMMITTED_FOLDER = Path(__file__).resolve().parent.parent / "embedded" / "manifests"
PATTERNS = ("navsim_logs/*/*.pkl", "maps/*/*/map.gpkg", "maps/*.json", "train_test_split/*.yaml", "scenes.csv")


def describe_world(root: Path, config: SplitConfig, facts: Dict[str, Any]) -> Dict[str, Any]:
    """The manifest of a finished world; `facts` are the counts to put in front."""
    paths = [path for pattern in PATTERNS for path in sorted(root.glob(pattern))]
    files = {
        path.relative_to(root).as_posix(): _digest(path)
        for path in paths
        if path.suffix != ".gpkg" or not is_stub(path)
    }
    size = list(config.picture_size)
    return {"split": config.name, "seed": config.seed, "picture_size": size, **facts, "files": files}


def write_manifest(root: Path, manifest: Dict[str, Any]) -> None:
    """Mark a world as complete."""
    write_atomically(root / MANIFEST_FILE, (json.dumps(manifest, indent=1) + "\n").encode())


def read_committed(name: str) -> Optional[Dict[str, Any]]:
    """The manifest that comes with the package for the full split of that name, if there is one."""
    path = COMMITTED_FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def find_differences(manifest: Dict[str, Any], other: Dict[str, Any]) -> List[str]:
    """Paths that only one of two manifests has, or that differ."""
    mine, others = manifest["files"], other["files"]
    return [path for path in sorted({*mine, *others}) if mine.get(path) != others.get(path)]


def _digest(path: Path) -> str:
    return digest_map(path) if path.suffix == ".gpkg" else hash_file(path)
