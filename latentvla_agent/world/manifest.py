"""What a split consists of, file by file: written with every world, committed for the full ones.

Logs and splits are named by the SHA-256 of their bytes, maps by a digest of their content: the bytes of a GeoPackage
depend on the version of GDAL that wrote it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

from latentvla_agent.data.digests import digest_map
from latentvla_agent.data.files import hash_file, write_atomically
from latentvla_agent.data.map_writer import is_stub
from latentvla_agent.data.world_manifests import MANIFEST_FILE
from latentvla_agent.world.splits import SplitConfig

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


def _digest(path: Path) -> str:
    return digest_map(path) if path.suffix == ".gpkg" else hash_file(path)
