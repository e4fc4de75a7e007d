"""Digests of maps: of their content, not of their bytes."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import shapely

from latentvla_agent.data.digests import digest_layers, digest_map
from latentvla_agent.data.files import hash_file
from latentvla_agent.data.map_writer import write_map
from tests.data.test_map_writer import ZONE, make_layers


def test_other_bytes_of_the_same_map(tmp_path: Path) -> None:
    write_map(tmp_path / "one.gpkg", make_layers(), ZONE)
    shutil.copyfile(tmp_path / "one.gpkg", tmp_path / "two.gpkg")
    with sqlite3.connect(tmp_path / "two.gpkg") as connection:
        connection.execute("update gpkg_contents set last_change = '2026-01-01T00:00:00.000Z'")
    connection.close()
    assert hash_file(tmp_path / "one.gpkg") != hash_file(tmp_path / "two.gpkg")
    assert digest_map(tmp_path / "one.gpkg") == digest_map(tmp_path / "two.gpkg") == digest_layers(make_layers(), ZONE)


def test_every_part_of_the_content_counts() -> None:
    digests = {digest_layers(make_layers(), ZONE), digest_layers(make_layers(), "EPSG:32611")}
    for change in range(5):
        layers = make_layers()
        lanes = layers["lanes_polygons"]
        if change == 0:
            lanes.ids[2] += 1
        elif change == 1:
            lanes.columns["speed_limit_mps"][0] = np.nan
        elif change == 2:
            lanes.columns["lane_index"] = np.zeros(3, dtype=np.int64)
        elif change == 3:
            layers["crosswalks"].geometry = shapely.transform(layers["crosswalks"].geometry, lambda xy: xy + 0.001)
        else:
            del layers["walkways"]
        digests.add(digest_layers(layers, ZONE))
    assert len(digests) == 7


def test_what_is_rounded_away_does_not_count() -> None:
    layers = make_layers()
    layers["crosswalks"].geometry = shapely.transform(layers["crosswalks"].geometry, lambda xy: xy + 0.00001)
    layers["crosswalks"].columns["note"] = np.array(["a", "b", "c"], dtype=object)
    assert digest_layers(layers, ZONE) == digest_layers(make_layers(), ZONE)
