"""What the compiled kernels of rendering share: the decorators and the noise that surfaces are grained with."""

from __future__ import annotations

from typing import Any, Callable, TypeVar

import numba
import numpy as np

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# No fastmath: two processes must paint the same bytes. The GIL is released.
_decorate: Any = numba.njit(cache=True, nogil=True, error_model="numpy")
compile_kernel: Callable[[Kernel], Kernel] = _decorate
# For the small functions that a pixel calls: copied into their caller, so that there is no call at all.
_decorate_inlined: Any = numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
compile_inlined: Callable[[Kernel], Kernel] = _decorate_inlined

# Odd multipliers of an integer hash (those of xxHash32).
_PRIME_X, _PRIME_Y, _PRIME_SEED, _PRIME_MIX = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F
_MASK = 0xFFFFFFFF
_SCALE = 1.0 / 4294967296.0


@compile_inlined
def hash_cell(x: int, y: int, seed: int) -> float:
    """A number in [0, 1) that depends on the cell (x, y) and the seed alone."""
    value = (x * _PRIME_X + y * _PRIME_Y + seed * _PRIME_SEED) & _MASK
    value = ((value ^ (value >> 15)) * _PRIME_MIX) & _MASK
    return float(value ^ (value >> 13)) * _SCALE


@compile_inlined
def smooth_step(low: float, high: float, value: float) -> float:
    """0 below `low`, 1 above `high`, smooth between."""
    position = min(max((value - low) / (high - low), 0.0), 1.0)
    return position * position * (3.0 - 2.0 * position)


@compile_inlined
def mix(first: float, second: float, share: float) -> float:
    """`first` at share 0, `second` at share 1."""
    return first + (second - first) * share


@compile_inlined
def cell_noise(x: float, y: float, seed: int) -> float:
    """Smooth noise in [0, 1) over the plane, of wavelength about 2 cells of unit size."""
    column, row = np.floor(x), np.floor(y)
    i, j = int(column), int(row)
    u, v = x - column, y - row
    u, v = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v)
    low = mix(hash_cell(i, j, seed), hash_cell(i + 1, j, seed), u)
    high = mix(hash_cell(i, j + 1, seed), hash_cell(i + 1, j + 1, seed), u)
    return mix(low, high, v)


@compile_kernel
def layered_noise(x: float, y: float, seed: int, octaves: int) -> float:
    """Sum of `octaves` of `cell_noise`, each of half the wavelength and half the height; in [0, 1)."""
    total, height, scale, sum_of_heights = 0.0, 0.5, 1.0, 0.0
    for octave in range(octaves):
        total += height * cell_noise(x * scale, y * scale, seed + octave)
        sum_of_heights += height
        height *= 0.5
        scale *= 2.0
    return total / sum_of_heights
