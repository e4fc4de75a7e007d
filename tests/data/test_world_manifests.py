"""Manifests: whose world this is, and whether it is the published one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from latentvla_agent.data.world_manifests import (
    MANIFEST_FILE,
    describe_difference,
    find_differences,
    read_manifest,
    read_published,
)


@pytest.fixture
def published() -> Dict[str, Any]:
    found = read_published("minitown-val")
    assert found is not None
    return found


def write(root: Path, content: object) -> Path:
    (root / MANIFEST_FILE).write_text(json.dumps(content))
    return root


def test_the_published_world_differs_in_nothing(tmp_path: Path, published: Dict[str, Any]) -> None:
    assert describe_difference(write(tmp_path, published)) is None


def test_what_differs_is_told(tmp_path: Path, published: Dict[str, Any]) -> None:
    changed = {**published, "files": {**published["files"], "scenes.csv": "0", "more.csv": "1"}}
    assert find_differences(changed, published) == ["more.csv", "scenes.csv"]
    text = describe_difference(write(tmp_path, changed))
    count = len(published["files"]) + 1
    assert text is not None and f"minitown-val is not the published one: 2 of {count} files differ" in text


def test_worlds_of_ones_own_and_other_pictures_are_not_compared(tmp_path: Path, published: Dict[str, Any]) -> None:
    assert describe_difference(write(tmp_path, {**published, "split": "minitown-mine", "files": {}})) is None
    assert describe_difference(write(tmp_path, {**published, "picture_size": [1920, 1080], "files": {}})) is None


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"split": "minitown-val", "files": {}}'])
def test_a_file_of_somebody_elses_is_no_manifest(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST_FILE).write_text(content)
    assert read_manifest(tmp_path) is None and describe_difference(tmp_path) is None
