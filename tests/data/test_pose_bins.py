"""Poses in bins: never off by more than half of one, and at home beyond the ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentvla_agent.data.pose_bins import PoseBins
from latentvla_agent.errors import ConfigError

BINS = PoseBins()


@given(st.lists(st.tuples(st.floats(-5, 75), st.floats(-30, 30), st.floats(-3.2, 3.2)), min_size=1, max_size=8))
def test_what_is_read_is_within_half_a_bin_of_what_was_written(poses: "list[tuple[float, float, float]]") -> None:
    exact = np.array(poses)
    written = BINS.write(exact)
    assert (np.abs(BINS.read(written) - exact) <= BINS.width / 2 + 1e-9).all()
    assert np.array_equal(BINS.write(BINS.read(written)), written)
    rows, columns = np.indices(exact.shape)
    np.testing.assert_allclose(BINS.centers()[columns, written], BINS.read(written))


def test_what_lies_beyond_gets_the_outermost_bins() -> None:
    assert BINS.write(np.array([[1e3, -1e3, 9.0], [-1e3, 1e3, -9.0]])).tolist() == [[255, 0, 255], [0, 255, 0]]


def test_ranges_are_of_three_numbers() -> None:
    with pytest.raises(ConfigError, match="ranges of 3 numbers"):
        PoseBins(low=(0.0, 0.0))
