"""Archives of worlds: what goes in comes out, maps with every millimetre, and nothing leads out of the folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from latentvla_agent.data.digests import digest_map
from latentvla_agent.data.map_packing import list_maps
from latentvla_agent.data.map_writer import LOCATIONS, map_path
from latentvla_agent.data.roots import EMBEDDED_FOLDER
from latentvla_agent.data.world_archives import pack_archive, unpack_archive
from latentvla_agent.errors import DataError
from tests.data.archives import make_archive


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    archive = make_archive(tmp_path / "bad.tar.xz", {name: b"x"})
    with pytest.raises(DataError, match="expected plain files"):
        unpack_archive(archive, tmp_path / "folder")
    assert not (tmp_path / "outside").exists()


def test_links_and_broken_archives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected plain files"):
        unpack_archive(make_archive(tmp_path / "link.tar.xz", {}, link="/etc/passwd"), tmp_path / "folder")
    broken = tmp_path / "broken.tar.xz"
    broken.write_bytes(b"not an archive")
    with pytest.raises(DataError, match="not a readable archive"):
        unpack_archive(broken, tmp_path / "folder")


@pytest.mark.slow
def test_a_world_is_packed_without_its_sensor_files_and_the_same_twice(tmp_path: Path) -> None:
    world, again = tmp_path / "world", tmp_path / "again"
    files = {
        "navsim_logs/minitown-val/a.pkl": b"log",
        "train_test_split/minitown-val.yaml": b"split",
        "scenes.csv": b"token",
        "manifest.json": b"{}",
    }
    for name, content in {**files, "sensor_blobs/a/CAM_F0/1.jpg": b"picture", ".towns-1/0/windows.json": b""}.items():
        (world / name).parent.mkdir(parents=True, exist_ok=True)
        (world / name).write_bytes(content)
    shutil.copytree(EMBEDDED_FOLDER / "maps", world / "maps")
    pack_archive(world, tmp_path / "first.tar.xz")
    os.utime(world / "scenes.csv", (1, 1))
    pack_archive(world, tmp_path / "second.tar.xz")
    assert (tmp_path / "first.tar.xz").read_bytes() == (tmp_path / "second.tar.xz").read_bytes()
    unpack_archive(tmp_path / "first.tar.xz", again)
    found = {path.relative_to(again).as_posix(): path for path in again.rglob("*") if path.is_file()}
    maps = [name for name in found if name.endswith(".gpkg")]
    assert {name: path.read_bytes() for name, path in found.items() if not name.startswith("maps/")} == files
    assert len(maps) == len(LOCATIONS) and "maps/nuplan-maps-v1.0.json" in found
    for location, path in list_maps(EMBEDDED_FOLDER / "maps"):
        assert digest_map(map_path(again / "maps", location)) == digest_map(path)


def test_an_unfinished_world_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a finished world"):
        pack_archive(tmp_path, tmp_path / "world.tar.xz")
    assert not (tmp_path / "world.tar.xz").exists()


@pytest.mark.parametrize(
    "content", [b"", b"no map", safetensors.numpy.save({"lanes_polygons.ids": np.ones(2, np.int64)})]
)
def test_a_broken_map_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="packed map of us-ma-boston: not readable"):
        unpack_archive(make_archive(tmp_path / "a.tar.xz", {"maps/us-ma-boston.map": content}), tmp_path / "folder")


def test_a_map_of_nowhere_is_refused(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a.tar.xz", {"maps/atlantis.map": safetensors.numpy.save({})})
    with pytest.raises(DataError, match="expected a location among"):
        unpack_archive(archive, tmp_path / "folder")
