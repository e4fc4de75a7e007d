"""The small towns, built once for all tests of the world."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest

from latentvla_agent.world.towns import Town
from tests.world.small_world import build_towns


@pytest.fixture(scope="session")
def small_towns(tmp_path_factory: pytest.TempPathFactory) -> Dict[Town, Path]:
    """Folders of the small towns, not to be changed."""
    return build_towns(tmp_path_factory.mktemp("small-towns"))
