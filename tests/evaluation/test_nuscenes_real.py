"""The seven real drives of nuScenes that we have without pictures: every number for agents that need none.

They are kept in NAVSIM's format, resampled to half seconds, with official scores; here they become a nuScenes database,
with their map as an expansion. So a plan's PDMS has come all the way through nuScenes' format.
"""

from __future__ import annotations

import gzip
import json
from typing import Any, Dict, List

import numpy as np
import pytest

from latentvla_agent.baselines import ConstantVelocityAgent
from latentvla_agent.data.nuscenes.database import NuScenesConfig, NuScenesDatabase
from latentvla_agent.data.nuscenes.map import NuScenesMaps
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.open_loop_summary import evaluate_open_loop
from latentvla_agent.scoring.metric_cache import build_metric_cache
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.world.nuscenes import MiniatureConfig, write_miniature
from tests.data.log_factory import SHARED_DATA

REAL = SHARED_DATA / "real" / "dev"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (REAL / "golden.json.gz").exists(), reason=f"no real logs at {REAL}"),
]
STRIDE = 6  # of the samples that are scored here


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> NuScenesDatabase:
    root = tmp_path_factory.mktemp("real")
    logs = sorted((REAL / "navsim_logs" / "dev").glob("nuscenes-*.pkl"))
    count = write_miniature(root, REAL / "maps", logs, MiniatureConfig(picture_size=None))
    assert count == len(logs) == 7
    config = NuScenesConfig(num_future_frames=10, use_can_bus=False)
    return NuScenesDatabase(root, "v1.0-mini", config, NuScenesMaps(root))


def test_constant_velocity_is_where_the_literature_has_it(database: NuScenesDatabase) -> None:
    """Known of the whole of nuScenes: constant velocity is off by some 1 m at 2 s, far less than standing still."""
    tokens = database.sample_tokens()
    agent = ConstantVelocityAgent()
    plans = {token: agent.compute_trajectory(database.load(token).get_agent_input()) for token in tokens}
    truths = [database.load_truth(token) for token in tokens]
    moving, standing = (evaluate_open_loop(truths, own)["vad"] for own in (plans, {}))
    assert moving["num_counted"]["3s"] == len(tokens) - 6 * 7
    at = moving["l2_m"]["at"]
    assert 0.1 < at["1s"] < 0.8 and at["1s"] < at["2s"] < at["3s"] < 4.0
    assert standing["l2_m"]["at"]["3s"] > 3.0 * at["3s"]


def test_scores_are_near_to_the_official_ones(database: NuScenesDatabase) -> None:
    """With NAVSIM's car, human and constant velocity score as in NAVSIM's own format, but for routes and road edges."""
    golden: Dict[str, List[Dict[str, Any]]] = {}
    for case in json.loads(gzip.decompress((REAL / "golden.json.gz").read_bytes())):
        if case["name"] in ("human", "const_vel"):
            golden.setdefault(case["token"], []).append(case)
    tokens = [token for token in database.sample_tokens() if token in golden][::STRIDE]
    assert len(tokens) > 20
    pairs = []
    for token in tokens:
        scene = database.load(token)
        try:
            cache = build_metric_cache(scene, scene.map_api)
        except DataError:
            pairs += [(0.0, case["v1"]["score"]) for case in golden[token]]
            continue
        for case in golden[token]:
            score = Scorer("pdms-nuscenes").score(cache, np.array(case["poses"])[None]).score[0]
            pairs.append((float(score), case["v1"]["score"]))
    own, official = np.array(pairs).T
    assert np.mean(np.abs(own - official) < 0.05) > 0.8
    assert abs(own.mean() - official.mean()) < 0.05
