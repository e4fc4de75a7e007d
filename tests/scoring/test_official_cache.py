"""What is kept comes back bit for bit, and only where it is ours and of the same source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest
import shapely

from latentvla_agent.scoring import official_cache
from latentvla_agent.scoring.official_cache import read_official_cache, write_official_cache


class Thing:
    """Any object of the devkit: pickled by its attributes."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


def make_cache() -> Thing:
    """Everything that is set aside, shared and not, and things that must not be."""
    square = shapely.box(664000.1, 3997000.2, 664004.3, 3997002.7)
    holed = shapely.Polygon(square.exterior.coords, [[(664001, 3997001), (664002, 3997001), (664002, 3997002)]])
    pair = np.array([0.1, -0.2])
    return Thing(
        polygons=[square, holed, shapely.Polygon()],
        shared=[square, pair],
        pair=pair,
        scalars=[np.float64(0.1), np.float64(np.nan), np.float64(1e300)],
        others=[np.float32(0.1), 0.1, np.array([1, 2]), np.zeros((2, 2)), shapely.Point(1, 2)],
    )


def test_equal_objects_come_back(tmp_path: Path) -> None:
    cache = make_cache()
    write_official_cache(cache, tmp_path / "a" / "b.cache", "source")
    other = read_official_cache(tmp_path / "a" / "b.cache", "source")
    assert [polygon.wkb for polygon in other.polygons] == [polygon.wkb for polygon in cache.polygons]
    assert other.shared[0] is other.polygons[0] and other.shared[1] is other.pair
    assert other.pair.dtype == np.float64 and other.pair.tolist() == [0.1, -0.2]
    other.pair[0] = 7.0  # an array of its own
    assert [type(value) for value in other.scalars] == [np.float64] * 3
    assert np.array_equal(other.scalars, cache.scalars, equal_nan=True)
    assert [type(value) for value in other.others] == [type(value) for value in cache.others]
    assert other.others[2].dtype == np.int64 and other.others[4] == shapely.Point(1, 2)


def test_nothing_is_set_aside(tmp_path: Path) -> None:
    write_official_cache([1, "two"], tmp_path / "cache", "source")
    assert read_official_cache(tmp_path / "cache", "source") == [1, "two"]


def damage(content: bytes) -> List[bytes]:
    """The same file, spoilt in several ways."""
    return [b"", content[:40], content[:-5], b"x" + content, content.replace(b" 3\n", b" 2\n", 1)]


def test_other_files_are_no_caches(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    assert read_official_cache(path, "source") is None
    write_official_cache(make_cache(), path, "source")
    assert read_official_cache(path, "another source") is None
    for content in damage(path.read_bytes()):
        path.write_bytes(content)
        assert read_official_cache(path, "source") is None


def test_a_file_of_somebody_else_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_official_cache([1], tmp_path / "cache", "source")
    monkeypatch.setattr(official_cache.os, "getuid", lambda: os.geteuid() + 1)
    assert read_official_cache(tmp_path / "cache", "source") is None
