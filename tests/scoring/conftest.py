"""The embedded scenes, cached once for all scoring tests."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene import Scene
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.scoring.metric_cache import MetricCache, build_metric_cache
from tests.scoring.golden import GOLDEN, read_cases


@pytest.fixture(scope="session")
def golden_cases() -> Dict[str, List[Dict[str, Any]]]:
    """The shipped sample of golden cases by token."""
    by_token: Dict[str, List[Dict[str, Any]]] = {}
    for case in read_cases(GOLDEN / "cases.json.gz"):
        by_token.setdefault(case["token"], []).append(case)
    return by_token


@pytest.fixture(scope="session")
def embedded_scenes() -> Dict[str, Scene]:
    """Every window of the embedded split by token."""
    roots = find_roots(environ={}, split="embedded")
    index = index_scenes(resolve_split("embedded", roots))
    return {scene.token: scene for scene in SceneLoader(index, MapStore(roots.maps)).load_scenes()}


@pytest.fixture(scope="session")
def embedded_caches(embedded_scenes: Dict[str, Scene]) -> Dict[str, MetricCache]:
    """Our metric cache of every embedded scene by token."""
    return {token: build_metric_cache(scene, scene.map_api) for token, scene in embedded_scenes.items()}
