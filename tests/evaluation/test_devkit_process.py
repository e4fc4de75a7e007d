"""A maps folder in which no location is missing: shared by runs, made of whatever lies with the data."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import List

import pytest

from latentvla_agent.data.maps import MAP_VERSIONS_FILE
from latentvla_agent.data.roots import DataRoots, find_roots
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.devkit_process import complete_maps

ABSENT = "us-ma-boston"  # the embedded maps name it and do not have it


@pytest.fixture(scope="module")
def roots() -> DataRoots:
    return find_roots(environ={}, split="embedded")


def test_links_that_are_right_are_kept_and_others_are_mended(roots: DataRoots, tmp_path: Path) -> None:
    folder = complete_maps(roots, tmp_path / "maps")
    links = sorted(folder.glob("*/*/map.gpkg"))
    assert len(links) == 4 and all(link.is_file() for link in links)
    assert (folder / MAP_VERSIONS_FILE).read_bytes() == (roots.maps / MAP_VERSIONS_FILE).read_bytes()
    before = [os.lstat(link).st_ino for link in links]
    links[0].unlink()
    links[0].symlink_to(tmp_path / "gone")
    complete_maps(roots, folder)
    after = [os.lstat(link).st_ino for link in links]
    assert links[0].is_file() and after[1:] == before[1:]
    assert not [path for path in folder.rglob(".*")], "nothing temporary is left"


def test_runs_that_share_the_folder_do_not_see_it_change(roots: DataRoots, tmp_path: Path) -> None:
    problems: List[str] = []
    folder = complete_maps(roots, tmp_path / "maps")
    wanted = len(list(folder.glob(f"{ABSENT}/*/map.gpkg")))

    def complete() -> None:
        try:
            for _ in range(50):
                complete_maps(roots, folder)
        except OSError as error:
            problems.append(repr(error))

    threads = [threading.Thread(target=complete) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found = len(list(folder.glob(f"{ABSENT}/*/map.gpkg")))
        problems += [f"{found} links instead of {wanted}"] if found != wanted else []
    assert not problems


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "not found; is .* a nuPlan maps folder"),
        ("{", "expected {location: {version: …}}"),
        ('{"sg-one-north": 3}', "expected {location: {version: …}}"),
        ('{"sg-one-north": {"version": "../../elsewhere"}}', "expected names of folders, got sg-one-north"),
        ('{"..": {"version": "9"}}', "expected names of folders, got .. '9'"),
        ('{"sg-one-north": {"version": "9"}}', "expected the map of a location, got none"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(roots: DataRoots, tmp_path: Path, table: str, message: str) -> None:
    if table is not None:
        (tmp_path / MAP_VERSIONS_FILE).write_text(table)
    with pytest.raises(DataError, match=message):
        complete_maps(replace(roots, maps=tmp_path), tmp_path / "links")
    assert not (tmp_path / "links").exists()


def test_a_folder_that_takes_no_links_is_named(roots: DataRoots, tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("a file")
    with pytest.raises(DataError, match="cannot hold links to maps"):
        complete_maps(roots, tmp_path / "maps")
