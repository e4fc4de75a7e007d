"""The same arithmetic on every x86-64 processor with AVX2, for the processes that make towns.

Traffic is chaotic: where numpy's sines differ in the last bit, vehicles soon drive elsewhere, and the world is not the
published one. numpy chooses its kernels by the processor, those for AVX-512 round differently; OpenBLAS does likewise.
Both can be told, before they are loaded, by the environment.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator, Mapping

# As numpy 1 and 2 call their kernels beyond AVX2; each version warns, unseen, of the names that it does not know.
WIDE_KERNELS = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4"
SETTINGS: Mapping[str, str] = {"NPY_DISABLE_CPU_FEATURES": WIDE_KERNELS, "OPENBLAS_CORETYPE": "Haswell"}


@contextmanager
def same_arithmetic() -> Iterator[None]:
    """Processes that are started within it compute alike everywhere. The user's own settings are back afterwards."""
    before = {name: os.environ.get(name) for name in SETTINGS}
    os.environ.update(SETTINGS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
