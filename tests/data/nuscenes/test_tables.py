"""Tables of nuScenes: what is there is found, and what is broken is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from latentvla_agent.data.nuscenes.tables import TABLE_NAMES, NuScenesTables
from latentvla_agent.errors import DataError
from tests.data.nuscenes.drives import VERSION, edit_table, make_drive, write_drives


@pytest.fixture()
def root(tmp_path: Path) -> Path:
    return write_drives(tmp_path, make_drive("a", 4), make_drive("b", 3))


def read_everything(root: Path) -> None:
    tables = NuScenesTables(root, VERSION)
    for name in TABLE_NAMES:
        tables.rows(name)
    for scene in tables.rows("scene"):
        for sample in tables.samples_of(scene):
            tables.data_of(sample["token"])


def test_lists_are_followed_and_rows_found(root: Path) -> None:
    tables = NuScenesTables(root, VERSION)
    scenes = {row["name"]: token for token, row in tables.rows("scene").items()}
    assert [row["token"] for row in tables.samples_of(scenes["scene-b"])] == ["b-000", "b-001", "b-002"]
    (annotation,) = tables.annotations_of("a-001")
    assert tables.category_of(annotation) == "vehicle.car"
    assert len(tables.follow("sample_annotation", tables.annotations_of("a-000")[0]["token"])) == 4
    assert list(tables.data_of("a-001")) == ["LIDAR_TOP"]


def test_sweeps_are_left_out(root: Path) -> None:
    def add_sweep(rows: Any) -> None:
        rows.append({**rows[0], "token": "sweep", "is_key_frame": False, "ego_pose_token": "of a sweep"})

    edit_table(root, "sample_data", add_sweep)
    edit_table(root, "ego_pose", lambda rows: rows.append({**rows[0], "token": "of a sweep"}))
    tables = NuScenesTables(root, VERSION)
    assert len(tables.rows("sample_data")) == len(tables.rows("ego_pose")) == 7


def test_a_missing_table_is_named_at_once(root: Path) -> None:
    (root / VERSION / "visibility.json").unlink()
    with pytest.raises(DataError, match="visibility.json"):
        NuScenesTables(root, VERSION)


def change(table: str, row: int, **values: Any) -> Callable[[Path], None]:
    return lambda root: edit_table(root, table, lambda rows: rows[row].update(values))


def cut(table: str, row: int, key: str) -> Callable[[Path], None]:
    return lambda root: edit_table(root, table, lambda rows: rows[row].pop(key) and None)


def write_text(table: str, text: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        (root / VERSION / f"{table}.json").write_text(text)

    return write


BROKEN = {
    "no field": (cut("scene", 0, "name"), r"scene\.json: row 0: name: expected a text, got no such key"),
    "no token": (cut("sample_data", 1, "token"), r"sample_data\.json: row 1: token"),
    "no flag": (cut("sample_data", 1, "is_key_frame"), r"row 1: is_key_frame: expected true or false"),
    "not a number": (change("ego_pose", 0, translation=["1", 2, 3]), r"row 0: translation: expected 3 finite"),
    "no rotation": (change("ego_pose", 0, rotation=[0, 0, 0, 0]), r"rotation: expected a quaternion"),
    "no size": (change("sample_annotation", 0, size=[1, 0, 1]), r"size: expected 3 finite numbers above 0"),
    "absolute path": (change("sample_data", 0, filename="/etc/passwd"), r"filename: expected a path that stays"),
    "path out of the root": (change("sample_data", 0, filename="samples/../../x"), r"expected a path that stays"),
    "unknown token": (change("sample", 1, next="nowhere"), r"sample\.json: expected a row of token 'nowhere'"),
    "no time": (change("ego_pose", 0, timestamp=1 << 70), r"timestamp: expected an integer"),
    "circle": (change("sample", 3, next="a-001"), r"expected a list that ends, got 'a-001' twice"),
    "another scene's": (change("sample", 3, next="b-000"), r"scene-a: expected 4 samples"),
    "too few": (change("scene", 0, nbr_samples=5), r"scene-a: expected 5 samples"),
    "out of order": (change("sample", 2, timestamp=5), r"expected samples in time order"),
    "not JSON": (write_text("sensor", "[{"), r"sensor\.json: not a JSON file"),
    "not a list": (write_text("sensor", "{}"), r"sensor\.json: expected a list of rows, got dict"),
    "not an object": (write_text("sensor", "[1]"), r"sensor\.json: row 0: expected an object, got int 1"),
    "twice": (write_text("visibility", '[{"token": "1", "level": "x"}, {"token": "1", "level": "x"}]'), r"'1' twice"),
    "two of a channel": (change("sample_data", 0, sample_token="a-001"), r"a-001: expected one LIDAR_TOP, got two"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_named(root: Path, what: str) -> None:
    spoil, message = BROKEN[what]
    read_everything(root)
    spoil(root)
    with pytest.raises(DataError, match=message):
        read_everything(root)
