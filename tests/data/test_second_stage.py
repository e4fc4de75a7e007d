"""Which synthetic scenes a two-stage split takes, and what is said about those that are not there."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any, List

import pytest

from latentvla_agent.data import outlines as outlines_module
from latentvla_agent.data.outlines import OutlineStore
from latentvla_agent.data.roots import DataRoots, find_roots
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader, index_scenes
from latentvla_agent.data.splits import Split, resolve_split
from latentvla_agent.data.synthetic_scenes import SyntheticScene
from latentvla_agent.errors import DataError
from tests.data.two_stage_pickles import save_with_stand_ins
from tests.data.two_stage_set import GROUPS, TwoStageSet, write_two_stage_set

Tokens = List[str]


@pytest.fixture(scope="module")
def roots(two_stage_set: TwoStageSet) -> DataRoots:
    return find_roots(two_stage_set.root, environ={})


@pytest.fixture(scope="module")
def split(two_stage_set: TwoStageSet, roots: DataRoots) -> Split:
    return resolve_split(str(two_stage_set.split_file), roots)


@pytest.fixture
def small_set(tmp_path: Path) -> TwoStageSet:
    """One group, to be changed."""
    return write_two_stage_set(tmp_path / "set", save_with_stand_ins, GROUPS[2:])


def filtered(split: Split, **values: Any) -> Split:
    return dataclasses.replace(split, scene_filter=dataclasses.replace(split.scene_filter, **values))


def second_stage(index: SceneIndex) -> Tokens:
    return [ref.token for ref in index.synthetic_refs]


def all_tokens(two_stage_set: TwoStageSet) -> Tokens:
    return sorted(description.token for description in two_stage_set.descriptions)


def test_the_split_has_two_stages(split: Split, two_stage_set: TwoStageSet) -> None:
    assert split.synthetic_folder == two_stage_set.scenes
    assert [len(group.second_stage) for group in split.mapping] == [3, 2, 2]
    assert [[group.token, group.previous, [*map(list, group.second_stage)]] for group in split.mapping] == list(
        two_stage_set.mapping
    )
    assert split.second_stage_tokens == frozenset(all_tokens(two_stage_set))


def test_both_stages_are_found(split: Split, two_stage_set: TwoStageSet) -> None:
    index = index_scenes(split)
    assert {ref.token for ref in index.refs} == {token for group in split.mapping for token in group_tokens(group)}
    assert second_stage(index) == all_tokens(two_stage_set)
    assert index.all_refs == index.refs + index.synthetic_refs and not index.missing_tokens
    assert all(ref.is_synthetic and ref.log_path.stem == ref.token for ref in index.synthetic_refs)
    assert not any(ref.is_synthetic for ref in index.refs)


def group_tokens(group: Any) -> Tokens:
    return [group.token, group.previous]


def test_loader_builds_scenes_of_both_stages(split: Split) -> None:
    index = index_scenes(split)
    loader = SceneLoader(index)
    assert len(loader) == 20 and [scene.token for scene in loader.load_scenes()] == [
        ref.token for ref in index.all_refs
    ]
    scene, ref = loader.load(index.synthetic_refs[0].token), index.synthetic_refs[0]
    assert isinstance(scene, SyntheticScene) and scene.scene_metadata.log_name == ref.log_name


def test_second_stage_goes_on_where_windows_end(split: Split) -> None:
    one = split.mapping[0]
    index = index_scenes(filtered(split, tokens=(one.token,)))
    assert sorted(second_stage(index)) == sorted(pair[0] for pair in one.second_stage)
    assert set(index.missing_tokens) == split.second_stage_tokens - set(second_stage(index))


def test_named_scenes_are_taken_wherever_they_begin(split: Split) -> None:
    one, other = split.mapping[:2]
    named = (other.second_stage[0][0], one.second_stage[0][1])
    index = index_scenes(
        filtered(split, tokens=(one.token,), synthetic_scene_tokens=named, reactive_synthetic_initial_tokens=None)
    )
    assert second_stage(index) == sorted(named)


def test_only_reactive_scenes_are_scored(split: Split) -> None:
    some = tuple(split.mapping[0].second_stage[0])
    assert second_stage(index_scenes(filtered(split, reactive_synthetic_initial_tokens=some))) == sorted(some)
    assert len(second_stage(index_scenes(filtered(split, reactive_synthetic_initial_tokens=None)))) == 14


def test_log_names_hold_for_both_stages(split: Split) -> None:
    index = index_scenes(filtered(split, log_names=(GROUPS[1].log,)))
    assert {ref.log_name for ref in index.all_refs} == {GROUPS[1].log}
    assert len(index.refs) == 2 and len(index.synthetic_refs) == 4


def test_max_scenes_ends_the_first_stage_and_nothing_is_missing(split: Split) -> None:
    index = index_scenes(filtered(split, max_scenes=2))
    assert len(index.refs) == 2 and 0 < len(index.synthetic_refs) < 14 and not index.missing_tokens


def test_tokens_narrow_both_stages(split: Split) -> None:
    group = split.mapping[0]
    wanted = [group.token, group.second_stage[1][0], "absent"]
    index = index_scenes(split, tokens=wanted)
    assert [ref.token for ref in index.all_refs] == wanted[:2] and index.missing_tokens == ("absent",)


def test_without_synthetic_scenes_the_folder_is_left_alone(split: Split, tmp_path: Path) -> None:
    index = index_scenes(dataclasses.replace(filtered(split, include_synthetic_scenes=False), synthetic_folder=None))
    assert len(index.refs) == 6 and index.synthetic_refs == ()


def open_small(small_set: TwoStageSet, **values: Any) -> SceneIndex:
    split = resolve_split(str(small_set.split_file), find_roots(small_set.root, environ={}))
    return index_scenes(split, **values)


def test_missing_scenes_are_listed(small_set: TwoStageSet) -> None:
    lost = small_set.descriptions[1].token
    (small_set.scenes / f"{lost}.pkl").unlink()
    index = open_small(small_set)
    assert index.missing_tokens == (lost,) and len(index.synthetic_refs) == 3


def test_a_missing_folder_is_named(small_set: TwoStageSet, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    small_set.scenes.rename(moved)
    with pytest.raises(DataError, match=f"{small_set.scenes}: expected a folder of synthetic scenes, got nothing"):
        open_small(small_set)
    roots = find_roots(small_set.root, environ={}, synthetic_scenes=moved)
    assert len(index_scenes(resolve_split(str(small_set.split_file), roots)).synthetic_refs) == 4


def test_a_token_names_one_scene(small_set: TwoStageSet) -> None:
    first = small_set.scenes / f"{small_set.descriptions[0].token}.pkl"
    shutil.copy(first, small_set.scenes / "zzz.pkl")
    with pytest.raises(DataError, match=f"zzz.pkl: token {first.stem} is also that of .*{first.name}; expected one"):
        open_small(small_set)


def test_bad_scenes_stop_the_search_or_are_listed(small_set: TwoStageSet) -> None:
    bad = small_set.scenes / f"{small_set.descriptions[0].token}.pkl"
    bad.write_bytes(b"no pickle")
    with pytest.raises(DataError, match=bad.name):
        open_small(small_set)
    index = open_small(small_set, skip_bad_logs=True)
    assert [path for path, _ in index.bad_logs] == [bad] and index.missing_tokens == (bad.stem,)


def test_a_scene_that_changed_is_not_built(small_set: TwoStageSet) -> None:
    index = open_small(small_set)
    first, second = (ref.log_path for ref in index.synthetic_refs[:2])
    shutil.copy(second, first)
    with pytest.raises(DataError, match=f"{first.name}: expected the scene {first.stem}, got {second.stem}"):
        SceneLoader(index).load(first.stem)


def test_scenes_are_read_once_for_the_index(
    small_set: TwoStageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = OutlineStore(tmp_path / "kept")
    index = open_small(small_set, outlines=store)
    store.save()

    def refuse(path: Path) -> Any:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(outlines_module, "read_synthetic_scene", refuse)
    assert open_small(small_set, outlines=OutlineStore(tmp_path / "kept")) == index
