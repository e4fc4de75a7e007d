"""Our scores from logs and maps alone equal those of the official scorer (NAVSIM v1.1) on its golden cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene import Scene
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.scoring.interpolation import sample_reference
from latentvla_agent.scoring.metric_cache import MetricCache, build_metric_cache
from latentvla_agent.scoring.scorer import Scorer
from tests.scoring.scenes import EXACT_FIELDS, GOLDEN, SHARED, find_differences, read_cases

SAMPLE_SIZE, SAMPLE_TOKENS = 530, 26
SETS = [  # folder, cases that are not edges, tokens
    ("golden/dev", 4847, 129),
    ("real/dev", 5456, 248),
]


def test_the_sample_is_large_and_varied(golden_cases: Dict[str, List[Dict[str, Any]]]) -> None:
    cases = [case for group in golden_cases.values() for case in group]
    assert (len(cases), len(golden_cases)) == (SAMPLE_SIZE, SAMPLE_TOKENS)
    assert len({case["name"] for case in cases}) == 41
    for field in EXACT_FIELDS:
        values = {case["v1"][field] for case in cases}
        assert values == ({0.0, 0.5, 1.0} if field in ("NC", "DDC") else {0.0, 1.0}), field
    progress = np.array([case["v1"]["EP"] for case in cases])
    assert min((progress == 0.0).sum(), ((progress > 0.0) & (progress < 1.0)).sum(), (progress == 1.0).sum()) > 50


def test_the_sample_of_golden_cases(
    golden_cases: Dict[str, List[Dict[str, Any]]], embedded_caches: Dict[str, MetricCache]
) -> None:
    differences, scorer = [], Scorer()
    for token, cases in golden_cases.items():
        differences += find_differences(embedded_caches[token], scorer, cases)
    assert not differences, f"{len(differences)} numbers differ, the first: {differences[:10]}"


def test_first_infractions_of_the_sample(
    golden_cases: Dict[str, List[Dict[str, Any]]], embedded_caches: Dict[str, MetricCache]
) -> None:
    differences, scorer = [], Scorer()
    for token, cases in golden_cases.items():
        for case in (c for c in cases if c["sampling"]["num_poses"] == 8):
            scores = scorer.score(embedded_caches[token], np.array(case["poses"])[None])
            official = [case["v1"][key][1] for key in ("collision_idx", "ttc_idx")]
            ours = [int(scores.collision_idx[0]), int(scores.ttc_idx[0])]
            if ours != [-1 if step is None else step for step in official]:
                differences.append((token, case["name"], ours, official))
    assert not differences, f"{len(differences)} steps differ, the first: {differences[:10]}"


def test_reference_plans_of_the_sample(embedded_caches: Dict[str, MetricCache]) -> None:
    with np.load(GOLDEN / "reference_v1.npz") as official:
        assert len(official.files) == SAMPLE_TOKENS
        for token in official.files:
            cache = embedded_caches[token]
            ours = sample_reference(cache.reference, cache.timestamp)
            np.testing.assert_allclose(ours, official[token], rtol=0.0, atol=1e-6, err_msg=token)


def test_every_embedded_window_can_be_scored(
    embedded_scenes: Dict[str, Scene], embedded_caches: Dict[str, MetricCache]
) -> None:
    scorer = Scorer()
    human = [
        scorer.score_trajectory(embedded_caches[t], s.get_future_trajectory(8)) for t, s in embedded_scenes.items()
    ]
    still = [scorer.score(embedded_caches[t], np.zeros((1, 8, 3))) for t in embedded_scenes]
    assert len(human) == 64
    assert np.mean([s.score[0] for s in human]) == pytest.approx(0.7952563, abs=1e-6)
    assert np.mean([s.score[0] for s in human]) > np.mean([s.score[0] for s in still])


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "num_cases", "num_tokens"), SETS)
def test_all_golden_cases(folder: str, num_cases: int, num_tokens: int) -> None:
    root = SHARED / folder
    if not root.is_dir():
        pytest.skip(f"{root} is not there: the full golden sets are not shipped with the repository")
    by_token: Dict[str, List[Dict[str, Any]]] = {}
    for case in read_cases(root / "golden.json.gz"):
        if not case["edge"]:
            by_token.setdefault(case["token"], []).append(case)
    differences, compared, scored = [], 0, 0
    scorer, loader = Scorer(), _open_split(root)
    for token, cases in by_token.items():
        scene = loader.load(token)
        differences += find_differences(build_metric_cache(scene, scene.map_api), scorer, cases)
        compared, scored = compared + len(cases), scored + 1
    assert not differences, f"{len(differences)} numbers differ, the first: {differences[:10]}"
    assert (compared, scored) == (num_cases, num_tokens)


def _open_split(root: Path) -> SceneLoader:
    roots = find_roots(root, None, {})
    return SceneLoader(index_scenes(resolve_split("dev", roots)), MapStore(roots.maps))
