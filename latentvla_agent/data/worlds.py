"""Where the splits of the embedded world lie: made by `latentvla world make`, or shipped and unpacked on first use.

A world is a folder of the layout that NAVSIM's data has (`navsim_logs/`, `maps/`, `sensor_blobs/`), with its split as
NAVSIM writes one (`train_test_split/<name>.yaml`), so that every reader, the devkit's too, takes it as it is.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import List, Mapping

from latentvla_agent.data.files import hash_file, hash_folder
from latentvla_agent.data.world_manifests import describe_difference, read_manifest
from latentvla_agent.errors import DataError

PACKAGE = Path(__file__).resolve().parent.parent
SHIPPED_FOLDER = PACKAGE / "embedded"
WORLD_FOLDER = PACKAGE / "world"
RENDERER_FOLDERS = ("meshes", "rendering")  # what of it draws pictures; towns know nothing of it
ARCHIVE_SUFFIX = ".tar.xz"
WORLD_PREFIX = "minitown-"
DEFAULT_WORLD = "minitown-val"


def cache_base(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's cache folder of this project."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latentvla"


def worlds_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where `latentvla world make` puts a split if no folder is named."""
    return cache_base(environ) / "worlds"


def is_world(split: str) -> bool:
    """Whether a split's name is one of the embedded world."""
    return split.startswith(WORLD_PREFIX)


def find_world(split: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Root of a split of the embedded world: the one that was made here, else the shipped one, unpacked once.

    One that was made here and is not the published one, by an earlier edition say, gives way to the shipped one.
    Raises `DataError` naming the command that makes it where there is neither.
    """
    made = worlds_folder(environ) / split
    archive = SHIPPED_FOLDER / f"{split}{ARCHIVE_SUFFIX}"
    is_shipped = archive.is_file()
    if read_manifest(made) is not None and not (is_shipped and describe_difference(made)):
        return made
    if is_shipped:
        return _unpack_once(archive, cache_base(environ) / "shipped-worlds", split)
    state = "is not finished" if made.is_dir() else "was not made here yet"
    raise DataError(
        f"{made}: split {split} {state}; expected a world made by: latentvla world make --split {split}"
        f" (shipped are: {', '.join(list_shipped()) or 'none'})"
    )


def hash_renderer() -> str:
    """Names the version of what draws a world's pictures."""
    hashes = [hash_folder(WORLD_FOLDER / name, ".py") for name in RENDERER_FOLDERS]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


def hash_towns_code() -> str:
    """Names the version of what makes towns, traffic and logs."""
    return hash_folder(WORLD_FOLDER, ".py", skip=RENDERER_FOLDERS)[:16]


def list_shipped() -> List[str]:
    """Names of the splits that come with the package."""
    return sorted(path.name[: -len(ARCHIVE_SUFFIX)] for path in SHIPPED_FOLDER.glob(f"*{ARCHIVE_SUFFIX}"))


def _unpack_once(archive: Path, base: Path, split: str) -> Path:
    """Each edition has a folder of its own, and so have its pictures as each version of the renderer draws them."""
    key = hashlib.sha256(f"{hash_file(archive)} {hash_renderer()}".encode()).hexdigest()[:12]
    root = base / f"{split}-{key}"
    if root.is_dir():
        return root
    from latentvla_agent.data.world_archives import unpack_archive  # brings GDAL, which few commands need

    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=base, prefix=f".{split}-") as folder:
            unpack_archive(archive, Path(folder) / split)
            try:
                os.rename(Path(folder) / split, root)
            except OSError:
                if not root.is_dir():  # another process was faster
                    raise
    except OSError as error:
        raise DataError(f"{root}: the shipped split {split} cannot be unpacked there ({error.strerror})") from error
    return root
