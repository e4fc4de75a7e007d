"""A finished world as one file, without its sensor files: what the package ships, and what may be sent to somebody."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path, PurePosixPath
from typing import Iterator, Tuple

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.map_packing import list_maps, pack_map, unpack_map
from latentvla_agent.data.map_writer import write_map_versions
from latentvla_agent.data.world_manifests import MANIFEST_FILE
from latentvla_agent.errors import DataError

PACKED_FILES = ("navsim_logs/*/*.pkl", "train_test_split/*", "scenes.csv", MANIFEST_FILE)
MAPS_FOLDER, PACKED_MAP = "maps", ".map"  # member `maps/<location>.map`


def pack_archive(root: Path, archive: Path) -> None:
    """Write a finished world, without its sensor files, as one tar.xz; the same world gives the same bytes.

    Raises `DataError` where the world is not finished.
    """
    if not (root / MANIFEST_FILE).is_file():
        raise DataError(f"{root}: expected a finished world, there is no {MANIFEST_FILE}")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in _list_members(root):
            member = tarfile.TarInfo(name)  # no times, no owners
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    write_atomically(archive, lzma.compress(content.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def _list_members(root: Path) -> Iterator[Tuple[str, bytes]]:
    for location, path in list_maps(root / MAPS_FOLDER):
        yield f"{MAPS_FOLDER}/{location}{PACKED_MAP}", pack_map(path)
    for pattern in PACKED_FILES:
        for path in sorted(root.glob(pattern)):
            yield path.relative_to(root).as_posix(), path.read_bytes()


def unpack_archive(archive: Path, folder: Path) -> None:
    """Write what `pack_archive` packed below `folder`; raises `DataError` for a broken archive, for members that are no
    plain files, and for a name that leads out of the folder."""
    try:
        with tarfile.open(archive, "r:xz") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if not member.isfile() or path.is_absolute() or ".." in path.parts:
                    raise DataError(f"{archive}: expected plain files inside it, got {member.name!r}")
                file = tar.extractfile(member)
                assert file is not None, "a regular file has content"
                if path.suffix == PACKED_MAP:
                    unpack_map(file.read(), folder / MAPS_FOLDER, path.stem)
                else:
                    write_atomically(folder.joinpath(*path.parts), file.read(), durable=False)
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise DataError(f"{archive}: not a readable archive ({error})") from error
    write_map_versions(folder / MAPS_FOLDER)
