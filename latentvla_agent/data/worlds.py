"""Where the splits of the embedded world lie: made by `latentvla world make`, or shipped and unpacked on first use.

A world is a folder of the layout that NAVSIM's data has (`navsim_logs/`, `maps/`, `sensor_blobs/`), with its split as
NAVSIM writes one (`train_test_split/<name>.yaml`), so that every reader, the devkit's too, takes it as it is.
"""

from __future__ import annotations

import io
import lzma
import os
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import List, Mapping

from latentvla_agent.data.files import hash_file, write_atomically
from latentvla_agent.errors import DataError

SHIPPED_FOLDER = Path(__file__).resolve().parent.parent / "embedded"
ARCHIVE_SUFFIX = ".tar.xz"
WORLD_PREFIX = "minitown-"
DEFAULT_WORLD = "minitown-val"
MANIFEST_FILE = "manifest.json"  # written last: a world that has it is complete
PACKED = ("navsim_logs/*/*.pkl", "maps/*.json", "maps/*/*/map.gpkg", "train_test_split/*", "scenes.csv", MANIFEST_FILE)


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

    Raises `DataError` naming the command that makes it where there is neither.
    """
    made = worlds_folder(environ) / split
    if (made / MANIFEST_FILE).is_file():
        return made
    archive = SHIPPED_FOLDER / f"{split}{ARCHIVE_SUFFIX}"
    if archive.is_file():
        return _unpack_once(archive, cache_base(environ) / "shipped-worlds", split)
    state = "is not finished" if made.is_dir() else "was not made here yet"
    raise DataError(
        f"{made}: split {split} {state}; expected a world made by: latentvla world make --split {split}"
        f" (shipped are: {', '.join(list_shipped()) or 'none'})"
    )


def has_default_world() -> bool:
    """Whether the split that is scored where nothing is named comes with the package."""
    return DEFAULT_WORLD in list_shipped()


def list_shipped() -> List[str]:
    """Names of the splits that come with the package."""
    return sorted(path.name[: -len(ARCHIVE_SUFFIX)] for path in SHIPPED_FOLDER.glob(f"*{ARCHIVE_SUFFIX}"))


def _unpack_once(archive: Path, base: Path, split: str) -> Path:
    root = base / f"{split}-{hash_file(archive)[:12]}"
    if root.is_dir():
        return root
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


def pack_archive(root: Path, archive: Path) -> None:
    """Write a finished world, without its sensor files, as one tar.xz; the same world gives the same bytes.

    Raises `DataError` where the world is not finished.
    """
    if not (root / MANIFEST_FILE).is_file():
        raise DataError(f"{root}: expected a finished world, there is no {MANIFEST_FILE}")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for pattern in PACKED:
            for path in sorted(root.glob(pattern)):
                member = tarfile.TarInfo(path.relative_to(root).as_posix())  # no times, no owners
                member.size = path.stat().st_size
                with path.open("rb") as file:
                    tar.addfile(member, file)
    write_atomically(archive, lzma.compress(content.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def unpack_archive(archive: Path, folder: Path) -> None:
    """Write the regular files of a tar.xz below `folder`; raises `DataError` for a broken archive and for any other
    member, or a name that leads out of the folder."""
    try:
        with tarfile.open(archive, "r:xz") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if member.isdir():
                    continue
                if not member.isfile() or path.is_absolute() or ".." in path.parts:
                    raise DataError(f"{archive}: expected plain files inside it, got {member.name!r}")
                content = tar.extractfile(member)
                assert content is not None, "a regular file has content"
                target = folder.joinpath(*path.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{archive}: not a readable archive ({error})") from error
