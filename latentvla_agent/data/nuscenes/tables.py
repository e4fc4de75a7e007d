"""Reads the JSON tables of a nuScenes database (schema of v1.0: `v1.0-mini`, `v1.0-trainval`), without its devkit.

Each table is read when first asked for and checked row by row. Of `sample_data` only key frames are kept, and of
`ego_pose` only theirs: the sweeps between them are nine tenths of the largest tables, and nothing here needs them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

from latentvla_agent.data.checks import (
    Check,
    describe,
    find_path_problem,
    find_problem,
    holds_texts,
    is_count,
    is_finite,
    is_rotation,
    is_text,
    is_timestamp,
    is_vector,
)
from latentvla_agent.errors import DataError

Row = Dict[str, Any]

MAX_TIME_US = 1 << 62  # what comes later does not fit into an array

_TEXT: Check = ("a text", is_text)
_LINK: Check = ("a token, or an empty text at an end", lambda value: isinstance(value, str))
_ANY_TEXT: Check = ("a text, maybe empty", lambda value: isinstance(value, str))
_TIME: Check = ("an integer (microseconds)", lambda value: is_timestamp(value) and 0 <= value < MAX_TIME_US)
_COUNT: Check = ("a whole number of at least 0", is_count)
_PLACE: Check = ("3 finite numbers", is_vector(3))
_TURN: Check = ("a quaternion of 4 finite numbers, not all zero", is_rotation)
_FILE: Check = ("a path that stays in the data root", lambda value: find_path_problem(value) is None)
_BOOL: Check = ("true or false", lambda value: isinstance(value, bool))

_CHECKS: Mapping[str, Dict[str, Check]] = {
    "attribute": {"name": _TEXT},
    "calibrated_sensor": {
        "sensor_token": _TEXT,
        "translation": _PLACE,
        "rotation": _TURN,
        "camera_intrinsic": ("3 x 3 finite numbers, or none", lambda value: value == [] or _is_square(value)),
    },
    "category": {"name": _TEXT},
    "ego_pose": {"timestamp": _TIME, "translation": _PLACE, "rotation": _TURN},
    "instance": {"category_token": _TEXT, "first_annotation_token": _TEXT, "last_annotation_token": _TEXT},
    "log": {"logfile": _TEXT, "location": _TEXT},
    "map": {"log_tokens": ("a list of texts", holds_texts)},
    "sample": {"scene_token": _TEXT, "timestamp": _TIME, "prev": _LINK, "next": _LINK},
    "sample_annotation": {
        "sample_token": _TEXT,
        "instance_token": _TEXT,
        "translation": _PLACE,
        "size": ("3 finite numbers above 0", lambda value: is_vector(3)(value) and min(value) > 0),
        "rotation": _TURN,
        "visibility_token": _ANY_TEXT,
        "prev": _LINK,
        "next": _LINK,
    },
    "sample_data": {
        "sample_token": _TEXT,
        "ego_pose_token": _TEXT,
        "calibrated_sensor_token": _TEXT,
        "timestamp": _TIME,
        "is_key_frame": _BOOL,
        "filename": _FILE,
    },
    "scene": {
        "name": _TEXT,
        "log_token": _TEXT,
        "nbr_samples": _COUNT,
        "first_sample_token": _TEXT,
        "last_sample_token": _TEXT,
    },
    "sensor": {"channel": _TEXT, "modality": _TEXT},
    "visibility": {"level": _TEXT},
}
TABLE_NAMES = tuple(_CHECKS)


def _is_square(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(is_vector(3)(row) for row in value) and is_finite(value)


class NuScenesTables:
    """The tables `<root>/<version>/*.json`, by token.

    Raises `DataError` naming file, row, field, expected and got; for a missing table at once.
    """

    def __init__(self, root: Path, version: str = "v1.0-trainval") -> None:
        self.root, self.folder = root, root / version
        self._tables: Dict[str, Dict[str, Row]] = {}
        self._groups: Dict[str, Dict[str, List[Row]]] = {}
        missing = [f"{name}.json" for name in TABLE_NAMES if not self.path(name).is_file()]
        if missing:
            raise DataError(f"{self.folder}: expected the tables of nuScenes, got none of {', '.join(missing)}")

    def path(self, table: str) -> Path:
        """The file of a table."""
        return self.folder / f"{table}.json"

    def rows(self, table: str) -> Mapping[str, Row]:
        """All rows of a table by token, in the order of the file."""
        if table not in self._tables:
            self._tables[table] = _read_table(self.path(table), _CHECKS[table], self._choose_rows(table))
        return self._tables[table]

    def _choose_rows(self, table: str) -> Callable[[Row], bool]:
        if table == "sample_data":
            return _is_key_frame
        if table == "ego_pose":
            wanted = {row["ego_pose_token"] for row in self.rows("sample_data").values()}
            return lambda row: row.get("token") in wanted
        return lambda row: True

    def get(self, table: str, token: str) -> Row:
        """One row."""
        row = self.rows(table).get(token)
        if row is None:
            raise DataError(f"{self.path(table)}: expected a row of token {token[:64]!r}, got none")
        return row

    def follow(self, table: str, first: str) -> List[Row]:
        """The linked list that begins with the row of token `first`; raises `DataError` where it runs in a circle."""
        found: Dict[str, Row] = {}
        token = first
        while token:
            if token in found:
                raise DataError(f"{self.path(table)}: expected a list that ends, got {token[:64]!r} twice by `next`")
            found[token] = self.get(table, token)
            token = found[token]["next"]
        return list(found.values())

    def samples_of(self, scene_token: str) -> List[Row]:
        """Key frames of a scene in time order; raises `DataError` where they are not those that the scene says."""
        scene = self.get("scene", scene_token)
        samples = self.follow("sample", scene["first_sample_token"])
        place = f"{self.path('sample')}: scene {scene['name']}"
        expected, got = (scene["nbr_samples"], scene["last_sample_token"]), (len(samples), samples[-1]["token"])
        if expected != got or any(sample["scene_token"] != scene_token for sample in samples):
            raise DataError(f"{place}: expected {expected[0]} samples of it, the last {expected[1]}, got {got}")
        times = [sample["timestamp"] for sample in samples]
        if any(later <= earlier for earlier, later in zip(times, times[1:])):
            raise DataError(f"{place}: expected samples in time order, got others")
        return samples

    def data_of(self, sample_token: str) -> Dict[str, Row]:
        """Key frames of a sample's sensors by channel, such as CAM_FRONT."""
        found: Dict[str, Row] = {}
        for row in self._group("sample_data").get(sample_token, []):
            channel = self.channel_of(row)
            if channel in found:
                raise DataError(f"{self.path('sample_data')}: sample {sample_token}: expected one {channel}, got two")
            found[channel] = row
        return found

    def annotations_of(self, sample_token: str) -> List[Row]:
        """Annotated boxes of a sample, in the order of the file."""
        return self._group("sample_annotation").get(sample_token, [])

    def channel_of(self, data: Row) -> str:
        """Name of the sensor that a row of `sample_data` is of."""
        calibrated = self.get("calibrated_sensor", data["calibrated_sensor_token"])
        channel: str = self.get("sensor", calibrated["sensor_token"])["channel"]
        return channel

    def category_of(self, annotation: Row) -> str:
        """Category of an annotated object, such as vehicle.car."""
        instance = self.get("instance", annotation["instance_token"])
        name: str = self.get("category", instance["category_token"])["name"]
        return name

    def _group(self, table: str) -> Dict[str, List[Row]]:
        """Rows of a table by the sample that they belong to."""
        if table not in self._groups:
            groups: Dict[str, List[Row]] = {}
            for row in self.rows(table).values():
                groups.setdefault(row["sample_token"], []).append(row)
            self._groups[table] = groups
        return self._groups[table]


def _is_key_frame(row: Row) -> bool:
    return row.get("is_key_frame") is not False  # whoever lacks it is refused, not left out


def _read_table(path: Path, checks: Dict[str, Check], keep: Callable[[Row], bool]) -> Dict[str, Row]:
    # Rows are dropped while the file is parsed: those of all sweeps together fill many gigabytes.
    content = read_json(path, lambda row: row if keep(row) else None)
    if not isinstance(content, list):
        raise DataError(f"{path}: expected a list of rows, got {describe(content)}")
    rows: Dict[str, Row] = {}
    for number, row in enumerate(content):
        if row is None:
            continue
        if not isinstance(row, dict):
            raise DataError(f"{path}: row {number}: expected an object, got {describe(row)}")
        problem = find_problem(row, {"token": _TEXT, **checks})
        if problem is None and row["token"] in rows:
            problem = f"token: expected each once, got {row['token'][:64]!r} twice"
        if problem is not None:
            raise DataError(f"{path}: row {number}: {problem}")
        rows[row["token"]] = row
    return rows


def read_json(path: Path, hook: Optional[Callable[[Row], Any]] = None) -> Any:
    """The content of a JSON file, each object of it through `hook`; raises `DataError` where it is not readable."""
    try:
        with path.open("rb") as file:
            return json.load(file, object_hook=hook)
    except OSError as error:
        raise DataError(f"{path}: expected a readable file, got: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file ({error})") from error
