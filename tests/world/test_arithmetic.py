"""Processes that compute alike on every processor."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from latentvla_agent.world.arithmetic import SETTINGS, same_arithmetic

FIND_KERNELS = """
try:
    from numpy._core import _multiarray_umath as numpy
except ImportError:
    from numpy.core import _multiarray_umath as numpy
wide = [name for name in numpy.__cpu_dispatch__ if name.startswith("AVX512") or name == "X86_V4"]
print([name for name in wide if numpy.__cpu_features__[name]])
"""


def test_processes_within_use_no_kernels_beyond_avx2() -> None:
    with same_arithmetic():
        found = subprocess.run([sys.executable, "-c", FIND_KERNELS], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]" and found.stderr == ""


def test_the_users_settings_are_back_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Zen")
    monkeypatch.delenv("NPY_DISABLE_CPU_FEATURES", raising=False)
    with pytest.raises(ZeroDivisionError), same_arithmetic():
        assert {name: os.environ[name] for name in SETTINGS} == SETTINGS
        raise ZeroDivisionError
    assert os.environ["OPENBLAS_CORETYPE"] == "Zen" and "NPY_DISABLE_CPU_FEATURES" not in os.environ
