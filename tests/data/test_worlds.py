"""Worlds: made ones win over shipped ones, archives are unpacked once, and nothing leads out of the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Dict

import pytest

from latentvla_agent.data import worlds
from latentvla_agent.data.world_manifests import MANIFEST_FILE, PUBLISHED_FOLDER
from latentvla_agent.data.worlds import find_world, hash_towns_code, is_world, worlds_folder
from latentvla_agent.errors import DataError
from tests.data.archives import make_archive


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
    shutil.copy(PUBLISHED_FOLDER / "minitown-val.json", made / MANIFEST_FILE)
    assert find_world("minitown-val", environ) == made


def test_a_world_of_another_edition_gives_way_to_the_shipped_one(shipped: Path, environ: Dict[str, str]) -> None:
    for name in ("minitown-val", "minitown-train"):
        made = worlds_folder(environ) / name
        made.mkdir(parents=True)
        manifest = json.loads((PUBLISHED_FOLDER / f"{name}.json").read_text())
        manifest["files"]["scenes.csv"] = "of another edition"
        (made / MANIFEST_FILE).write_text(json.dumps(manifest))
    assert find_world("minitown-val", environ).parent.name == "shipped-worlds"
    assert find_world("minitown-train", environ) == worlds_folder(environ) / "minitown-train"  # none is shipped


def test_pictures_of_another_renderer_are_not_taken(
    shipped: Path, environ: Dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "world"
    (code / "rendering").mkdir(parents=True)
    monkeypatch.setattr(worlds, "WORLD_FOLDER", code)
    first, towns = find_world("minitown-val", environ), hash_towns_code()
    assert find_world("minitown-val", environ) == first
    (code / "rendering" / "shading.py").write_text("BRIGHTNESS = 2\n")
    second = find_world("minitown-val", environ)
    assert second != first and hash_towns_code() == towns, "towns are the same whoever draws them"
    (code / "towns.py").write_text("STREETS = 9\n")
    assert find_world("minitown-val", environ) == second and hash_towns_code() != towns


def test_a_world_that_is_not_there_names_the_command_that_makes_it(shipped: Path, environ: Dict[str, str]) -> None:
    with pytest.raises(DataError, match="was not made here yet; .*latentvla world make --split minitown-train"):
        find_world("minitown-train", environ)
    (worlds_folder(environ) / "minitown-train").mkdir(parents=True)
    with pytest.raises(DataError, match="is not finished"):
        find_world("minitown-train", environ)


def test_a_cache_that_takes_no_file_is_named(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be unpacked"):
        find_world("minitown-val", {"XDG_CACHE_HOME": str(tmp_path / "file")})


def test_names_of_worlds() -> None:
    assert is_world("minitown-val") and not is_world("navtest") and not is_world("mini")
