"""Pictures made smaller."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import pytest

from latentvla_agent.features.pictures import average_into, sample_into

RNG = np.random.default_rng(0)


def shrink(function: Callable[..., None], picture: Any, width: int, height: int) -> Any:
    """(height, width, 3)."""
    out = np.zeros((3, height, width), np.uint8)
    function(out, picture)
    return out.transpose(1, 2, 0)


@pytest.mark.parametrize("function", [average_into, sample_into])
def test_the_same_size_is_a_copy(function: Callable[..., None]) -> None:
    picture = RNG.integers(0, 256, (6, 10, 3), np.uint8)
    assert np.array_equal(shrink(function, picture, 10, 6), picture)


@pytest.mark.parametrize("factor", [2, 4, 6, 8])
def test_samples_of_even_factors_are_the_middle_four(factor: int) -> None:
    picture = RNG.integers(0, 256, (6 * factor, 10 * factor, 3), np.uint8)
    at = factor // 2
    blocks = picture.reshape(6, factor, 10, factor, 3).astype(int)[:, at - 1 : at + 1, :, at - 1 : at + 1]
    assert np.array_equal(shrink(sample_into, picture, 10, 6), (blocks.sum(axis=(1, 3)) + 2) // 4)


def test_samples_of_odd_factors_are_the_middle() -> None:
    picture = RNG.integers(0, 256, (18, 30, 3), np.uint8)
    assert np.array_equal(shrink(sample_into, picture, 10, 6), picture[1::3, 1::3])


def test_averages_are_means_of_blocks() -> None:
    picture = RNG.integers(0, 256, (27, 48, 3), np.uint8)
    blocks = picture.reshape(9, 3, 16, 3, 3).mean(axis=(1, 3))
    assert np.abs(shrink(average_into, picture, 16, 9) - blocks).max() <= 0.6


@pytest.mark.parametrize("size", [(13, 7), (48, 28), (1, 1), (31, 54)])
def test_other_sizes_keep_the_colour(size: Any) -> None:
    picture = np.full((27, 48, 3), [10, 130, 250], np.uint8)
    for function in (average_into, sample_into):
        assert np.all(shrink(function, picture, *size) == [10, 130, 250])
