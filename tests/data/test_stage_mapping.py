"""The mapping of a two-stage split, and what is no such mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from latentvla_agent.data.stage_mapping import TwoStageGroup, read_mapping
from latentvla_agent.errors import DataError

PATH = Path("my.yaml")


def test_groups_in_order() -> None:
    value = [["a", "b", [["c", "d"], ["e", "f"]]], ["g", "h", []]]
    groups = (TwoStageGroup("a", "b", (("c", "d"), ("e", "f"))), TwoStageGroup("g", "h", ()))
    assert read_mapping(PATH, value) == groups
    assert read_mapping(PATH, None) == read_mapping(PATH, []) == ()


@pytest.mark.parametrize(
    "value",
    [
        {"a": "b"},
        "abc",
        [["a", "b"]],
        ["abc"],
        [["a", "b", None, None]],
        [["a", "b", "cd"]],
        [["a", 1234567890123456, []]],
        [["a", "", []]],
        [["a", "b", ["cd"]]],
        [["a", "b", [["c"]]]],
        [["a", "b", [["c", "d", "e"]]]],
        [["a", "b", [["c", 7]]]],
    ],
)
def test_anything_else_is_one_line(value: Any) -> None:
    with pytest.raises(DataError, match=r"^my\.yaml: reactive_all_mapping.*: expected .*, got ") as error:
        read_mapping(PATH, value)
    assert "\n" not in str(error.value)
