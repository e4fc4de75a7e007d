"""Our scores from logs and maps alone equal those of the official scorers (NAVSIM v1.1 and v2.2) on golden cases."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene import Scene
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.scoring.metric_cache import MetricCache, build_metric_cache
from latentvla_agent.scoring.scorer import Scorer
from tests.scoring.golden import GOLDEN, HINGES_ON_PROCESSOR, SHARED, Case, Comparison, read_cases

Cases = Dict[str, List[Case]]

SAMPLE_SIZE, SAMPLE_TOKENS, SAMPLE_EC = 633, 26, 259
SETS = [  # folder, cases that are not edges, those of them with an EC, tokens
    ("golden/dev", 4847, 2359, 129),
    ("real/dev", 5456, 5236, 248),
]
V1_EXACT = ("NC", "DAC", "DDC", "TTC", "C")
V2_EXACT = ("NC", "DAC", "DDC", "TLC", "TTC", "LK", "HC")
V1_NUMBERS, V2_NUMBERS = 11, 23  # compared per case


def assert_equal(comparison: Comparison) -> None:
    found = comparison.differences
    by_name = Counter(name for _, _, name, _, _ in found)
    assert not found, f"{len(found)} numbers differ ({dict(by_name)}), the first: {found[:10]}"


def test_the_sample_is_large_and_varied(golden_cases: Cases) -> None:
    cases = [case for group in golden_cases.values() for case in group]
    assert (len(cases), len(golden_cases)) == (SAMPLE_SIZE, SAMPLE_TOKENS)
    assert len({case["name"] for case in cases}) == 41 and not any(case["edge"] for case in cases)
    v1, v2 = [case["v1"] for case in cases], [case["v2"] for case in cases]
    for fields, numbers in ((V1_EXACT, v1), (V2_EXACT, [official["nofilter"] for official in v2])):
        for field in fields:
            counts = Counter(official[field] for official in numbers)
            assert set(counts) == ({0.0, 0.5, 1.0} if field in ("NC", "DDC") else {0.0, 1.0}), field
            assert min(counts.values()) > 50, field
    progress = np.array([official["EP"] for official in v1])
    assert min((progress == 0.0).sum(), ((progress > 0.0) & (progress < 1.0)).sum(), (progress == 1.0).sum()) > 50
    for field in set(V2_EXACT) - {"HC"}:
        assert sum(official["filtered"][field] != official["nofilter"][field] for official in v2) > 30, field


def test_every_ec_of_the_sample_has_its_predecessor_in_it(golden_cases: Cases) -> None:
    cases = {(case["token"], case["name"]): case for group in golden_cases.values() for case in group}
    found = Counter(case["v2"]["EC"] for case in cases.values())
    assert found == {None: SAMPLE_SIZE - SAMPLE_EC, 0.0: 201, 1.0: 58}
    for (_, name), case in cases.items():
        assert (case["v2"]["EC"] is not None) == ((case["v2"]["prev_token"], name) in cases)


def test_pdms_of_the_sample(golden_cases: Cases, embedded_caches: Dict[str, MetricCache]) -> None:
    cases = [case for group in golden_cases.values() for case in group]
    comparison = Comparison(embedded_caches, cases)
    for case in cases:
        comparison.compare_v1(case)
    assert_equal(comparison)
    assert sum(comparison.compared.values()) == V1_NUMBERS * SAMPLE_SIZE


def test_epdms_of_the_sample(golden_cases: Cases, embedded_caches: Dict[str, MetricCache]) -> None:
    cases = [case for group in golden_cases.values() for case in group]
    comparison = Comparison(embedded_caches, cases)
    for case in cases:
        comparison.compare_v2(case)
    assert_equal(comparison)
    assert sum(comparison.compared.values()) == V2_NUMBERS * SAMPLE_SIZE


def test_reference_plans_of_the_sample(embedded_caches: Dict[str, MetricCache]) -> None:
    with np.load(GOLDEN / "references.npz") as official:
        assert len(official.files) == 2 * SAMPLE_TOKENS
        for name in official.files:
            token, version = name.split("/")
            plan = embedded_caches[token].references[("v1", "v2").index(version)]
            np.testing.assert_allclose(plan, official[name], rtol=0.0, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("metric", "mean"), [("pdms-v1.1", 0.7952563), ("epdms-v2.2", 0.9293274)])
def test_every_embedded_window_can_be_scored(
    metric: str, mean: float, embedded_scenes: Dict[str, Scene], embedded_caches: Dict[str, MetricCache]
) -> None:
    scorer = Scorer(metric)
    human = [
        scorer.score_trajectory(embedded_caches[t], s.get_future_trajectory(8)) for t, s in embedded_scenes.items()
    ]
    still = [scorer.score(embedded_caches[t], np.zeros((1, 8, 3))) for t in embedded_scenes]
    assert len(human) == 64
    assert np.mean([s.score[0] for s in human]) == pytest.approx(mean, abs=1e-6)
    assert np.mean([s.score[0] for s in human]) > np.mean([s.score[0] for s in still])


@pytest.fixture(scope="module", params=SETS, ids=[entry[0] for entry in SETS])
def full_set(request: pytest.FixtureRequest) -> Tuple[Comparison, List[Case], Any]:
    """All cases of a reference set with our caches of its scenes, those that are not edges, and what to expect."""
    root: Path = SHARED / request.param[0]
    if not root.is_dir():
        pytest.skip(f"{root} is not there: the full golden sets are not shipped with the repository")
    cases, roots = read_cases(root / "golden.json.gz"), find_roots(root, None, {})
    loader = SceneLoader(index_scenes(resolve_split("dev", roots)), MapStore(roots.maps))
    tokens = {case["token"] for case in cases}
    caches = {s.token: build_metric_cache(s, s.map_api) for s in loader.load_scenes() if s.token in tokens}
    assert len(caches) == len(tokens) == request.param[3]
    return (Comparison(caches, cases), [case for case in cases if not case["edge"]], request.param)


@pytest.mark.slow
def test_all_golden_cases(full_set: Tuple[Comparison, List[Case], Any]) -> None:
    comparison, cases, (_, num_cases, num_ec, _) = full_set
    for case in cases:
        comparison.compare_v1(case)
        comparison.compare_v2(case)
    assert_equal(comparison)
    assert len(cases) == num_cases and sum(case["v2"]["EC"] is not None for case in cases) == num_ec
    assert comparison.compared["v1.score"] == comparison.compared["v2.final"] == num_cases
    left_out = 5 * sum((case["token"], case["name"]) == HINGES_ON_PROCESSOR for case in cases)
    assert sum(comparison.compared.values()) == (V1_NUMBERS + V2_NUMBERS) * num_cases - left_out
