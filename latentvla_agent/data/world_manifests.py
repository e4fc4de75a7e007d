"""Manifests of worlds, and those of the published splits: whether a world that lies here is the published one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

MANIFEST_FILE = "manifest.json"  # written last: a world that has it is complete
PUBLISHED_FOLDER = Path(__file__).resolve().parent.parent / "embedded" / "manifests"


def read_manifest(root: Path) -> Optional[Dict[str, Any]]:
    """The manifest of a world; None where the folder is no finished world."""
    return _read(root / MANIFEST_FILE)


def read_published(name: str) -> Optional[Dict[str, Any]]:
    """The manifest that comes with the package for the full split of that name, if there is one."""
    return _read(PUBLISHED_FOLDER / f"{name}.json")


def find_differences(manifest: Mapping[str, Any], other: Mapping[str, Any]) -> List[str]:
    """Paths that only one of two manifests has, or that differ."""
    mine, others = manifest["files"], other["files"]
    return [path for path in sorted({*mine, *others}) if mine.get(path) != others.get(path)]


def describe_difference(root: Path) -> Optional[str]:
    """What to say of a world under a published name that is not the published one, such as one that an earlier edition
    of this package made; None of any other folder."""
    manifest = read_manifest(root)
    published = None if manifest is None else read_published(manifest["split"])
    if manifest is None or published is None or manifest["picture_size"] != published["picture_size"]:
        return None
    differences = find_differences(manifest, published)
    if not differences:
        return None
    count = len({*manifest["files"], *published["files"]})
    return (
        f"{manifest['split']} is not the published one: {len(differences)} of {count} files differ, such as"
        f" {differences[0]}; scores on it are not comparable"
    )


def _read(path: Path) -> Optional[Dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_manifest = isinstance(content, dict) and {"split", "picture_size", "files"} <= content.keys()
    return content if is_manifest else None  # a folder of somebody else's may have a file of that name
