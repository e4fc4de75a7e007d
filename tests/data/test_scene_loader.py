"""Which windows become scenes, in which order, and what is said about those that don't."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.data import scene_loader as scene_loader_module
from latentvla_agent.data.logs import read_log
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader, index_scenes
from latentvla_agent.data.splits import SceneFilter, Split
from latentvla_agent.errors import DataError
from tests.data.log_factory import SHARED_DATA, make_frame, make_log, write_log


def make_split(folder: Path, **values: Any) -> Split:
    return Split("test", folder, SceneFilter(**values), "made by a test")


def get_tokens(index: SceneIndex) -> List[str]:
    return [ref.token for ref in index.refs]


def test_windows_of_every_frame(tmp_path: Path) -> None:
    make_log(tmp_path / "b.pkl", 16)
    make_log(tmp_path / "a.pkl", 14)
    make_log(tmp_path / "c.pkl", 13)
    index = index_scenes(make_split(tmp_path, frame_interval=1))
    assert get_tokens(index) == ["a-0003", "b-0003", "b-0004", "b-0005"]
    assert [ref.start for ref in index.refs] == [0, 0, 1, 2]
    assert [ref.previous for ref in index.refs] == [None, None, "b-0003", "b-0004"]
    assert index.refs[0].log_path == tmp_path / "a.pkl" and index.refs[0].map_name == "sg-one-north"


def test_windows_that_do_not_overlap(tmp_path: Path) -> None:
    make_log(tmp_path / "a.pkl", 41)
    index = index_scenes(make_split(tmp_path))
    assert get_tokens(index) == ["a-0003", "a-0017"]
    assert index.refs[1].previous == "a-0016"
    assert index.dropped_too_short == 1


def test_windows_without_route_are_counted(tmp_path: Path) -> None:
    make_log(tmp_path / "a.pkl", 16, no_route=[4])
    index = index_scenes(make_split(tmp_path, frame_interval=1))
    assert get_tokens(index) == ["a-0003", "a-0005"] and index.dropped_no_route == 1
    assert index.refs[1].previous == "a-0004"
    assert len(index_scenes(make_split(tmp_path, frame_interval=1, has_route=False)).refs) == 3


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=3),
    history=st.integers(1, 3),
    future=st.integers(0, 3),
    interval=st.one_of(st.none(), st.integers(1, 5)),
    max_scenes=st.one_of(st.none(), st.integers(1, 6)),
    has_route=st.booleans(),
    data=st.data(),
)
def test_windows_are_those_of_a_plain_cut(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: List[int],
    history: int,
    future: int,
    interval: Optional[int],
    max_scenes: Optional[int],
    has_route: bool,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    size, expected = history + future, []
    for number, length in enumerate(lengths):
        bare = data.draw(st.sets(st.integers(0, max(length - 1, 0)))) if length else set()
        make_log(folder / f"{number}.pkl", length, no_route=sorted(bare))
        starts = range(0, max(length - size + 1, 0), interval or size)
        currents = [start + history - 1 for start in starts]
        expected += [f"{number}-{current:04d}" for current in currents if not (has_route and current in bare)]
    split = make_split(
        folder,
        num_history_frames=history,
        num_future_frames=future,
        frame_interval=interval,
        max_scenes=max_scenes,
        has_route=has_route,
    )
    if expected:
        assert get_tokens(index_scenes(split)) == expected[:max_scenes]
    else:
        with pytest.raises(DataError, match="got none"):
            index_scenes(split)


def test_filters_by_log_and_token(tmp_path: Path) -> None:
    for name in "abc":
        make_log(tmp_path / f"{name}.pkl", 16, no_route=[5])
    split = make_split(
        tmp_path,
        frame_interval=1,
        log_names=("a", "c", "zebra"),
        tokens=("a-0003", "b-0003", "c-0005", "c-0004", "c-0000"),
    )
    index = index_scenes(split)
    assert get_tokens(index) == ["a-0003", "c-0004"]
    assert index.dropped_no_route == 1
    assert index.missing_logs == ("zebra",)
    assert index.missing_tokens == ("b-0003", "c-0000")
    narrowed = index_scenes(split, tokens=["c-0004", "b-0004"])
    assert get_tokens(narrowed) == ["c-0004"] and narrowed.missing_tokens == ("b-0004",)


def test_max_scenes_stops_the_search(tmp_path: Path) -> None:
    make_log(tmp_path / "a.pkl", 16)
    (tmp_path / "b.pkl").write_bytes(b"broken, but never read")
    index = index_scenes(make_split(tmp_path, frame_interval=1, max_scenes=2, tokens=("a-0003", "a-0005", "b-0003")))
    assert get_tokens(index) == ["a-0003", "a-0005"] and index.missing_tokens == ()


def test_a_token_of_two_windows_is_refused(tmp_path: Path) -> None:
    make_log(tmp_path / "a.pkl", 14)
    make_log(tmp_path / "b.pkl", 14, tokens=["a-0003"] * 14)
    with pytest.raises(DataError, match=r"b\.pkl: token a-0003 .* also that of .*a\.pkl, frame 0"):
        index_scenes(make_split(tmp_path))


def test_no_predecessor_across_a_gap(tmp_path: Path) -> None:
    frames = [make_frame(index) for index in range(16)]
    for frame in frames[5:]:
        frame["timestamp"] += 1_000_000
    write_log(tmp_path / "log.pkl", frames)
    index = index_scenes(make_split(tmp_path, frame_interval=1))
    assert [ref.previous for ref in index.refs] == [None, "log-0003", None]


def test_broken_logs_stop_or_are_listed(tmp_path: Path) -> None:
    make_log(tmp_path / "b.pkl", 14)
    (tmp_path / "a.pkl").write_bytes(b"broken")
    with pytest.raises(DataError, match="a.pkl: not a readable pickle"):
        index_scenes(make_split(tmp_path))
    index = index_scenes(make_split(tmp_path), skip_bad_logs=True)
    assert get_tokens(index) == ["b-0003"]
    assert [path.name for path, _ in index.bad_logs] == ["a.pkl"] and "not a readable" in index.bad_logs[0][1]


def test_no_scene_left_says_why(tmp_path: Path) -> None:
    make_log(tmp_path / "a.pkl", 15, no_route=range(15))
    (tmp_path / "b.pkl").write_bytes(b"broken")
    with pytest.raises(DataError, match="1 windows without route, 1 too short, 1 broken logs, 0 logs"):
        index_scenes(make_split(tmp_path), skip_bad_logs=True)
    with pytest.raises(DataError, match="1 logs of the filter missing"):
        index_scenes(make_split(tmp_path, log_names=("c",)))


def test_progress_goes_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_log(tmp_path / "a.pkl", 14)
    index_scenes(make_split(tmp_path), progress=True)
    captured = capsys.readouterr()
    assert captured.out == "" and "1/1" in captured.err


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    names: List[str] = []

    def count(path: Path) -> Any:
        names.append(path.name)
        return read_log(path)

    monkeypatch.setattr(scene_loader_module, "read_log", count)
    return names


def test_scenes_hold_what_the_log_says(tmp_path: Path) -> None:
    frames = make_log(tmp_path / "a.pkl", 16, boxes=3)
    maps = object()
    loader = SceneLoader(index_scenes(make_split(tmp_path, frame_interval=1)), maps)
    scene = loader.load("a-0004")
    assert len(loader) == 3
    assert scene.token == "a-0004" and scene.map_source is maps
    assert scene.scene_metadata.log_name == "a" and scene.scene_metadata.scene_token == "a-scene"
    assert (scene.scene_metadata.num_history_frames, scene.scene_metadata.num_future_frames) == (4, 10)
    assert [frame.token for frame in scene.frames] == [frame["token"] for frame in frames[1:15]]
    assert scene.current_frame.annotations.boxes.shape == (3, 7)
    np.testing.assert_allclose(scene.get_future_trajectory(8).poses[:, 0], 2.5 * np.arange(1, 9))
    with pytest.raises(DataError, match="scene zebra: expected one of the 3 scenes"):
        loader.load("zebra")


def test_one_log_is_held_at_a_time(tmp_path: Path, reads: List[str]) -> None:
    for name in "ab":
        make_log(tmp_path / f"{name}.pkl", 16)
    index = index_scenes(make_split(tmp_path, frame_interval=1))
    loader = SceneLoader(index)
    reads.clear()
    assert [scene.token for scene in loader.load_scenes()] == get_tokens(index)
    assert reads == ["a.pkl", "b.pkl"]
    mixed = [index.refs[position] for position in (4, 0, 5, 1)]
    reads.clear()
    assert [scene.token for scene in loader.load_scenes(mixed)] == ["b-0004", "b-0005", "a-0003", "a-0004"]
    assert reads == ["a.pkl"]
    assert loader.load("a-0003").frames[1] is loader.load("a-0004").frames[0]


def test_a_log_that_changed_is_refused(tmp_path: Path) -> None:
    make_log(tmp_path / "a.pkl", 16)
    loader = SceneLoader(index_scenes(make_split(tmp_path, frame_interval=1)))
    make_log(tmp_path / "a.pkl", 15)
    loader.load("a-0003")
    with pytest.raises(DataError, match=r"a\.pkl: expected token a-0005 at frame 5; the log has changed"):
        loader.load("a-0005")


def test_a_loader_travels_to_workers(tmp_path: Path) -> None:
    make_log(tmp_path / "a.pkl", 14)
    loader = SceneLoader(index_scenes(make_split(tmp_path)))
    assert pickle.loads(pickle.dumps(loader)).load("a-0003").token == "a-0003"


@pytest.mark.parametrize("data, count", [("golden/dev", 129), ("real/dev", 248)])
def test_scenes_of_the_reference_data(data: str, count: int) -> None:
    folder = SHARED_DATA / data
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    with gzip.open(folder / "golden.json.gz", "rt") as file:
        cases = json.load(file)
    tokens = {case["token"] for case in cases}
    index = index_scenes(make_split(folder / "navsim_logs" / "dev", frame_interval=1), tokens=tokens)
    assert len(index.refs) == count and index.missing_tokens == ()
    assert sum(1 for _ in SceneLoader(index).load_scenes()) == count
    previous: Dict[str, Optional[str]] = {ref.token: ref.previous for ref in index.refs}
    for case in cases:
        assert case["v2"]["prev_token"] in (None, previous[case["token"]])
