"""Which samples a nuScenes evaluation has, which of them are scored, and why the others are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from latentvla_agent.data.nuscenes.database import NuScenesDatabase
from latentvla_agent.data.nuscenes.map import NuScenesMaps
from latentvla_agent.data.nuscenes.records import DriveRecord
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.nuscenes_samples import (
    NO_MAP,
    NO_ROUTE,
    TOO_SHORT,
    Samples,
    explain_left_out,
    list_refs,
    read_samples,
)
from latentvla_agent.evaluation.nuscenes_setup import NuScenesSetup
from tests.data.nuscenes.crossroads import ExpansionMaker, straight
from tests.data.nuscenes.drives import VERSION, make_drive, write_drives

MAPPED, UNMAPPED = "singapore-onenorth", "boston-seaport"
LONG = 12  # frames: two samples have 5 s to come


def write_lane(root: Path, y: float = 50.0) -> None:
    """A map of one lane that goes east; drives of `make_drive` begin at (100, 50) and go along it."""
    maker = ExpansionMaker()
    maker.lane("there", maker.box(50, y - 2, 250, y + 2), [straight(50, y, 0, 200)], [])
    maker.write(root, MAPPED)


def open_database(root: Path, *drives: DriveRecord) -> NuScenesDatabase:
    return NuScenesSetup(write_drives(root, *drives), VERSION).open(with_maps=True)


def read(root: Path, *drives: DriveRecord, **options: Any) -> Samples:
    database = open_database(root, *drives)
    refs = list_refs(database, [drive.name for drive in drives], **options)
    return read_samples(database, refs, NuScenesMaps(root))


def make_elsewhere(name: str, num_frames: int) -> DriveRecord:
    return replace(make_drive(name, num_frames), location=UNMAPPED)


def tokens_of(refs: Any) -> List[str]:
    return [ref.token for ref in refs]


def test_references_follow_the_order_asked_for_then_time(tmp_path: Path) -> None:
    database = open_database(tmp_path, make_drive("a", 3), make_elsewhere("b", 2), make_drive("c", 1))
    refs = list_refs(database, ["scene-b", "scene-a"])
    assert tokens_of(refs) == ["b-000", "b-001", "a-000", "a-001", "a-002"]
    assert [ref.start for ref in refs] == [0, 1, 0, 1, 2]
    assert [(ref.log_name, ref.map_name) for ref in refs[1:3]] == [("log-b", UNMAPPED), ("log-a", MAPPED)]
    assert len({ref.log_path for ref in refs}) == 2 and refs[0].log_path.name == "scene-b"
    assert all(ref.previous is None and not ref.is_synthetic for ref in refs)


def test_samples_without_their_whole_history_can_be_skipped(tmp_path: Path) -> None:
    database = open_database(tmp_path, make_drive("a", 5), make_drive("b", 3), make_drive("c", 4))
    refs = list_refs(database, ["scene-a", "scene-b", "scene-c"], skip_padded=True)
    assert tokens_of(refs) == ["a-003", "a-004", "c-003"]
    assert [database.load(ref.token).num_padded for ref in refs] == [0, 0, 0]
    with pytest.raises(DataError, match="v1.0-mini: expected samples, got none"):
        list_refs(database, ["scene-b"], skip_padded=True)


def test_unknown_and_missing_scenes_are_refused(tmp_path: Path) -> None:
    database = open_database(tmp_path, make_drive("a", 2))
    with pytest.raises(DataError, match="expected a scene 'scene-x', got none"):
        list_refs(database, ["scene-a", "scene-x"])
    with pytest.raises(DataError, match="expected samples, got none"):
        list_refs(database, [])


def test_only_samples_with_five_seconds_to_come_are_scored(tmp_path: Path) -> None:
    write_lane(tmp_path)
    samples = read(tmp_path, make_drive("a", LONG), make_drive("b", 10))
    assert tokens_of(samples.scored) == ["a-000", "a-001"]
    assert samples.left_out == {TOO_SHORT: 20}
    assert len(samples.refs) == len(samples.truths) == 22
    assert samples.locations_without_map == () and explain_left_out(samples) == ""


def test_truths_go_three_seconds_or_to_the_end_of_the_drive(tmp_path: Path) -> None:
    samples = read(tmp_path, make_drive("a", 9, speed=8.0))
    assert [truth.token for truth in samples.truths] == tokens_of(samples.refs)
    assert [int(truth.valid.sum()) for truth in samples.truths] == [6, 6, 6, 5, 4, 3, 2, 1, 0]
    np.testing.assert_allclose(samples.truths[0].poses[:, 0], 4.0 * np.arange(1, 7), atol=1e-6)
    assert np.isnan(samples.truths[8].poses).all()


def test_a_location_without_a_map_is_named(tmp_path: Path) -> None:
    write_lane(tmp_path)
    samples = read(tmp_path, make_drive("a", LONG), make_elsewhere("b", LONG))
    assert tokens_of(samples.scored) == ["a-000", "a-001"]
    assert samples.left_out == {TOO_SHORT: 20, NO_MAP: 2}  # of a short drive the map is not looked at
    assert samples.locations_without_map == (UNMAPPED,)
    assert explain_left_out(samples) == ""


def test_a_drive_off_every_lane_is_left_out(tmp_path: Path) -> None:
    write_lane(tmp_path, y=80.0)
    samples = read(tmp_path, make_drive("a", LONG))
    assert samples.scored == () and samples.left_out == {TOO_SHORT: 10, NO_ROUTE: 2}
    expected = {f"10 samples: {TOO_SHORT}", f"2 samples: {NO_ROUTE}"}
    assert set(explain_left_out(samples).split("; ")) == expected


def test_why_nothing_is_scored_names_the_files_that_are_missing(tmp_path: Path) -> None:
    other = replace(make_drive("b", 2), location="singapore-queenstown")
    samples = read(tmp_path, make_elsewhere("a", LONG), other)
    assert samples.scored == () and samples.locations_without_map == (UNMAPPED, "singapore-queenstown")
    assert explain_left_out(samples) == (
        "no map expansion (v1.3): expected maps/expansion/boston-seaport.json,"
        " maps/expansion/singapore-queenstown.json below the database"
    )


def test_facts_count_what_the_samples_came_with(tmp_path: Path) -> None:
    drives = (make_drive("a", 5), replace(make_drive("b", 2), has_motion=True))
    facts = read(tmp_path, *drives).facts
    assert facts["motion_sources"] == {"next_pose": 1, "poses": 4, "can_bus": 2}
    assert facts["samples_with_padded_history"] == 3 + 2
    assert facts["command_source"].startswith("future route: human's pose after 3 s")


def test_reading_is_reported_and_no_drive_is_read_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: List[str] = []
    original = NuScenesDatabase._read_drive

    def count(self: NuScenesDatabase, scene_token: str) -> Any:
        reads.append(scene_token)
        return original(self, scene_token)

    monkeypatch.setattr(NuScenesDatabase, "_read_drive", count)
    read(tmp_path, make_drive("a", 4), make_drive("b", 3))
    assert len(reads) == 2 and "read: 7 in" in capsys.readouterr().err
