"""Where SUMO is missing, the error names the extra; where a program fails, its words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.world import sumo


@pytest.mark.parametrize("load", [sumo.load_libsumo, sumo.load_sumolib, sumo.find_sumo_home])
@pytest.mark.parametrize("missing", ["sumo", "libsumo", "sumolib"])
def test_a_missing_library_names_the_extra(load, missing, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    for name in ("sumo", "libsumo", "sumolib"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match=r'pip install "latentvla-agent\[world\]"'):
        load()


def test_a_missing_program_is_named() -> None:
    pytest.importorskip("sumo")
    with pytest.raises(DataError, match="no-such-program"):
        sumo.find_program("no-such-program")


def test_a_program_that_fails_is_quoted(tmp_path: Path) -> None:
    pytest.importorskip("sumo")
    with pytest.raises(DataError, match="netconvert ended with status 1: .*missing.nod.xml"):
        sumo.run_program("netconvert", ["--node-files", "missing.nod.xml", "--edge-files", "e.xml"], tmp_path)
