"""Worlds: made ones win over shipped ones, archives are unpacked once, and nothing leads out of the folder."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Dict

import pytest

from latentvla_agent.data import worlds
from latentvla_agent.data.worlds import (
    MANIFEST_FILE,
    find_world,
    is_world,
    pack_archive,
    unpack_archive,
    worlds_folder,
)
from latentvla_agent.errors import DataError


def make_archive(path: Path, files: Dict[str, bytes], link: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:xz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo("link")
            member.type, member.linkname = tarfile.SYMTYPE, link
            tar.addfile(member)
    return path


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shipped"
    monkeypatch.setattr(worlds, "SHIPPED_FOLDER", folder)
    return make_archive(
        folder / "minitown-val.tar.xz", {"navsim_logs/minitown-val/a.pkl": b"log", "manifest.json": b"{}"}
    )


@pytest.fixture
def environ(tmp_path: Path) -> Dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_a_shipped_world_is_unpacked_once(shipped: Path, environ: Dict[str, str]) -> None:
    root = find_world("minitown-val", environ)
    log = root / "navsim_logs" / "minitown-val" / "a.pkl"
    assert log.read_bytes() == b"log"
    log.write_bytes(b"kept")
    assert find_world("minitown-val", environ) == root and log.read_bytes() == b"kept"
    assert [path.name for path in root.parent.iterdir()] == [root.name]  # nothing is left over


def test_another_archive_is_unpacked_beside_the_old_one(shipped: Path, environ: Dict[str, str]) -> None:
    first = find_world("minitown-val", environ)
    make_archive(shipped, {"navsim_logs/minitown-val/b.pkl": b"new"})
    assert find_world("minitown-val", environ) != first


def test_a_world_that_was_made_wins_once_it_is_finished(shipped: Path, environ: Dict[str, str]) -> None:
    made = worlds_folder(environ) / "minitown-val"
    made.mkdir(parents=True)
    assert find_world("minitown-val", environ) != made
    (made / MANIFEST_FILE).write_text("{}")
    assert find_world("minitown-val", environ) == made


def test_a_world_that_is_not_there_names_the_command_that_makes_it(shipped: Path, environ: Dict[str, str]) -> None:
    with pytest.raises(DataError, match="was not made here yet; .*latentvla world make --split minitown-train"):
        find_world("minitown-train", environ)
    (worlds_folder(environ) / "minitown-train").mkdir(parents=True)
    with pytest.raises(DataError, match="is not finished"):
        find_world("minitown-train", environ)


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


def test_a_cache_that_takes_no_file_is_named(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be unpacked"):
        find_world("minitown-val", {"XDG_CACHE_HOME": str(tmp_path / "file")})


def test_names_of_worlds() -> None:
    assert is_world("minitown-val") and not is_world("navtest") and not is_world("mini")


def test_a_world_is_packed_without_its_sensor_files_and_the_same_twice(tmp_path: Path) -> None:
    world, again = tmp_path / "world", tmp_path / "again"
    files = {
        "navsim_logs/minitown-val/a.pkl": b"log",
        "maps/nuplan-maps-v1.0.json": b"{}",
        "maps/us-ma-boston/9.12.1817/map.gpkg": b"map" * 1000,
        "train_test_split/minitown-val.yaml": b"split",
        "scenes.csv": b"token",
        "manifest.json": b"{}",
    }
    for name, content in {**files, "sensor_blobs/a/CAM_F0/1.jpg": b"picture", ".towns-1/0/windows.json": b""}.items():
        (world / name).parent.mkdir(parents=True, exist_ok=True)
        (world / name).write_bytes(content)
    pack_archive(world, tmp_path / "first.tar.xz")
    os.utime(world / "scenes.csv", (1, 1))
    pack_archive(world, tmp_path / "second.tar.xz")
    assert (tmp_path / "first.tar.xz").read_bytes() == (tmp_path / "second.tar.xz").read_bytes()
    unpack_archive(tmp_path / "first.tar.xz", again)
    found = {path.relative_to(again).as_posix(): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    assert found == files


def test_an_unfinished_world_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a finished world"):
        pack_archive(tmp_path, tmp_path / "world.tar.xz")
    assert not (tmp_path / "world.tar.xz").exists()
