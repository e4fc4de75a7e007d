"""Columns: what the page will read out of them is what went in."""

from __future__ import annotations

import base64
from typing import Any, List, Optional

import numpy as np
import pytest

from latentvla_agent.viewer.columns import pack_indices, pack_levels, pack_members, pack_scores, pack_steps


def unpack(column: Any) -> List[Optional[float]]:
    """As `decodeNumbers` of `page/store.js` does."""
    content = base64.b64decode(column["data"])
    if "levels" in column:
        return [column["levels"][position] for position in content]
    return [None if word == 0xFFFF else word / column["scale"] for word in np.frombuffer(content, "<u2").tolist()]


def test_few_different_scores_take_a_byte_each() -> None:
    values = [1.0, 0.5, None, 0.0, 1.0]
    column = pack_scores(values)
    assert unpack(column) == values and column["levels"] == [0.0, 0.5, 1.0, None]
    assert len(base64.b64decode(column["data"])) == len(values)


def test_many_different_scores_are_kept_to_a_ten_thousandth() -> None:
    values: List[Optional[float]] = [*np.linspace(0.0, 1.0, 1001).tolist(), 0.123456, None]
    column = pack_scores(values)
    assert "levels" not in column
    unpacked = unpack(column)
    assert unpacked[-1] is None and unpacked[-2] == 0.1235
    assert unpacked[:1001] == pytest.approx(values[:1001], abs=1e-12)


def test_steps_and_indices() -> None:
    assert unpack(pack_steps([None, 0, 40, None])) == [None, 0, 40, None]
    assert unpack(pack_indices([0, 300, 7])) == [0, 300, 7]
    for wrong in ([-1], [0xFFFF]):
        with pytest.raises(ValueError, match="expected numbers from 0 to 65534"):
            pack_indices(wrong)


def test_a_value_that_is_no_level_is_an_error() -> None:
    with pytest.raises(KeyError):
        pack_levels(["a"], ["b"])


def test_members_are_bits_with_the_first_scene_lowest() -> None:
    assert list(base64.b64decode(pack_members([0, 9], 10))) == [1, 2]
    assert list(base64.b64decode(pack_members([], 3))) == [0]
