"""Where weights lie, and whether they are those that were published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict

from latentvla_agent.data.files import hash_file
from latentvla_agent.errors import CheckpointError

PACKAGE = Path(__file__).resolve().parent.parent
WEIGHTS, CONFIG, MANIFEST = "model.safetensors", "config.json", "manifest.json"


def checkpoints_folder() -> Path:
    """`checkpoints/` of the installed package, or of the checkout."""
    installed = PACKAGE / "checkpoints"
    return installed if installed.is_dir() else PACKAGE.parent / "checkpoints"


def find_checkpoint(name: str) -> Path:
    """The file that `name` means: a path, or a folder of `checkpoints/`, whose hash must be that of the manifest."""
    if Path(name).suffix:
        return Path(name)
    folder = checkpoints_folder()
    manifest: Dict[str, str] = json.loads((folder / MANIFEST).read_text())
    if name not in manifest:
        known = ", ".join(sorted(manifest)) or "none"
        raise CheckpointError(f"unknown checkpoint {name!r}; there are: {known}; or a path with a suffix")
    path = folder / name / WEIGHTS
    found = hash_file(path) if path.is_file() else "no file"
    if found != manifest[name]:
        raise CheckpointError(f"{path}: expected the sha256 {manifest[name]} of {MANIFEST}, got {found}")
    return path
