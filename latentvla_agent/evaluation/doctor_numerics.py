"""Does this machine compute what it should? Against exact sums, and against official scores that are shipped."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import EMBEDDED_FOLDER, EMBEDDED_SPLIT, find_roots
from latentvla_agent.data.scene import FloatArray, TrajectorySampling
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.doctor import Finding, Status
from latentvla_agent.evaluation.provenance import describe_machine, list_versions
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STEPS, STEP_S
from latentvla_agent.scoring.metric_cache import MetricCache, build_metric_cache
from latentvla_agent.scoring.scorer import PreviousPlan, Scorer
from latentvla_agent.scoring.simulation import simulate_rollout, velocity_fit_matrix
from latentvla_agent.scoring.warm_up import compile_kernels

REFERENCE_CASES = EMBEDDED_FOLDER / "reference_cases.json"
METRIC_NAMES = ("pdms-v1.1", "epdms-v2.2")
OLDEST_PYTHON = (3, 9)
CPU_INFO = Path("/proc/cpuinfo")
FAULTY_NUMPY = ("1.23.",)  # 1.23.0 to 1.23.5; before and after it is right
FAULTY_FLAG = "avx512_bf16"  # their OpenBLAS then takes its Cooper Lake kernels, which are the wrong ones
KNOWN_FAULT = "numpy issue 24903, navsim issues 28 141 146 178"
MEND_NUMPY = "install numpy 1.24 or newer, or set OPENBLAS_CORETYPE=Haswell; then make every metric cache again"
TOLERANCE = 1e-6


def check_python() -> Sequence[Finding]:
    """The interpreter."""
    machine = describe_machine()
    text = f"{platform.python_version()} on {machine['processor']}, {machine['cores']} cores, {machine['system']}"
    if sys.version_info < OLDEST_PYTHON:
        return [Finding(Status.FAULT, "python", text, "use Python 3.9 or newer")]
    return [Finding(Status.OK, "python", text)]


def check_packages() -> Sequence[Finding]:
    """Versions of all that can move a number."""
    versions = [f"{name} {version}" for name, version in list_versions().items() if name != "python"]
    return [Finding(Status.OK, "packages", ", ".join(versions))]


def check_numpy_version() -> Sequence[Finding]:
    """The known fault, by version and processor."""
    if not np.__version__.startswith(FAULTY_NUMPY):
        return [Finding(Status.OK, "numpy", f"{np.__version__} is none of the versions with the fault of recent Xeons")]
    text = f"{np.__version__} computes wrong products and inverses on recent Xeons (Sapphire Rapids; {KNOWN_FAULT})"
    if has_faulty_kernels() and not os.environ.get("OPENBLAS_CORETYPE"):
        return [Finding(Status.FAULT, "numpy", f"{text}, and this is one", MEND_NUMPY)]
    return [Finding(Status.WARNING, "numpy", f"{text}; this machine is none", MEND_NUMPY)]


def has_faulty_kernels() -> bool:
    """Whether the processor is an Intel one for which the OpenBLAS of numpy 1.23 has wrong kernels."""
    info = CPU_INFO.read_text() if CPU_INFO.is_file() else ""
    return "GenuineIntel" in info and FAULTY_FLAG in info


def check_products() -> Sequence[Finding]:
    """Matrix products and inverses of the sizes that the scorers use, against sums without BLAS."""
    rng = np.random.default_rng(24903)
    worst = 0.0
    for rows, inner, columns in ((NUM_STEPS, NUM_STEPS, NUM_STEPS), (625, 5, 625), (5, 625, 5)):
        left, right = rng.random((rows, inner)), rng.random((inner, columns))
        expected = sum(left[:, k, None] * right[k] for k in range(inner))  # elementwise: no BLAS
        for product in (left @ right, (right.T @ left.T).T, np.einsum("bij,bjk->bik", left[None], right[None])[0]):
            worst = max(worst, _difference(product, expected))
    fit, penalty = velocity_fit_matrix(DEFAULT_CONFIG.simulation.jerk_penalty), np.linalg.inv
    worst = max(worst, _difference(penalty(penalty(fit)), fit))
    return [_judge("matrix product", "products and inverses", worst, 1e-9)]


def check_profile_fit() -> Sequence[Finding]:
    """The devkit's least-squares fit of the LQR tracker, in batches by pinv, against 60 decimal digits."""
    rng = np.random.default_rng(28)
    headings = np.cumsum(rng.normal(0.0, 0.02, (4, NUM_STEPS)), axis=1)
    steps = rng.uniform(0.1, 1.5, (4, NUM_STEPS))
    along = np.stack([steps * np.cos(headings), steps * np.sin(headings)], axis=-1).reshape(4, -1)
    design, penalty = _design_matrices(headings)
    transposed = design.transpose(0, 2, 1)
    normal = np.einsum("bij,bjk->bik", transposed, design) + penalty
    try:
        solver = np.einsum("bij,bjk->bik", np.linalg.pinv(normal), transposed)
    except np.linalg.LinAlgError:  # what converges everywhere else
        return [_judge("profile fit", "the LQR tracker's least squares", float("inf"), TOLERANCE)]
    solutions = np.einsum("bij,bj->bi", solver, along)
    worst = max(
        _difference(solution, _solve_exactly(matrix, penalty, values))
        for solution, matrix, values in zip(solutions, design, along)
    )
    return [_judge("profile fit", "the LQR tracker's least squares", worst, TOLERANCE)]


def _design_matrices(headings: FloatArray) -> Tuple[FloatArray, FloatArray]:
    """From initial velocity and accelerations to displacements (B, 80, 40), and the jerk penalty (40, 40)."""
    directions = np.stack([np.cos(headings), np.sin(headings)], axis=-1).reshape(len(headings), -1)
    reaches = np.repeat(np.tril(np.ones((NUM_STEPS, NUM_STEPS)), k=0), 2, axis=0) * STEP_S**2
    reaches[:, 0] = STEP_S
    jerk = np.zeros((NUM_STEPS - 2, NUM_STEPS))
    jerk[:, 1:] = np.diff(np.eye(NUM_STEPS - 1), axis=0)
    penalty = np.einsum("ij,ik->jk", jerk, jerk) * DEFAULT_CONFIG.simulation.jerk_penalty
    return directions[..., None] * reaches, penalty


def _solve_exactly(design: FloatArray, penalty: FloatArray, values: FloatArray) -> FloatArray:
    """Regularised least squares in plain Python: elimination without pivots, which a positive matrix allows."""
    with localcontext() as context:
        context.prec = 60
        columns = [[Decimal(value) for value in column] for column in design.T.tolist()]
        targets = [Decimal(value) for value in values.tolist()]
        table = [
            [sum(map(Decimal.__mul__, a, b), Decimal(penalty[i, j])) for j, b in enumerate(columns)]
            + [sum(map(Decimal.__mul__, a, targets), Decimal(0))]
            for i, a in enumerate(columns)
        ]
        return np.array([float(value) for value in _eliminate(table)])


def _eliminate(table: List[List[Decimal]]) -> List[Decimal]:
    """Solve rows [A | b] in place."""
    size = len(table)
    for i, pivot in enumerate(table):
        for row in table[i + 1 :]:
            share = row[i] / pivot[i]
            for j in range(i, size + 1):
                row[j] -= share * pivot[j]
    solution = [Decimal(0)] * size
    for i in reversed(range(size)):
        known = sum((table[i][j] * solution[j] for j in range(i + 1, size)), Decimal(0))
        solution[i] = (table[i][size] - known) / table[i][i]
    return solution


def _difference(values: Any, expected: Any) -> float:
    """Largest difference, relative to the largest value; infinite where something is not finite."""
    difference = float(np.max(np.abs(values - expected)) / np.max(np.abs(expected)))
    return difference if np.isfinite(difference) else float("inf")


def _judge(check: str, what: str, difference: float, tolerance: float) -> Finding:
    if difference <= tolerance:
        return Finding(Status.OK, check, f"{what} are right to {difference:.0e}")
    text = f"{what} are wrong by {difference:.0e} (relative; {KNOWN_FAULT})"
    return Finding(Status.FAULT, check, text, MEND_NUMPY)


def check_kernels() -> Sequence[Finding]:
    """The compiled kernels run, and stay compiled for the next process."""
    started = time.perf_counter()
    compile_kernels()
    seconds = time.perf_counter() - started
    folder = Path(simulate_rollout.stats.cache_path)  # type: ignore[attr-defined]
    if folder.is_dir() and os.access(folder, os.W_OK):
        return [Finding(Status.OK, "kernels", f"ready in {seconds:.1f} s, kept in {folder}")]
    text = f"ready in {seconds:.1f} s, but {folder} can't be written: every process compiles them again"
    return [Finding(Status.WARNING, "kernels", text, "set NUMBA_CACHE_DIR to a folder that can be written")]


def check_reference_cases() -> Sequence[Finding]:
    """Official scores of a dozen trajectories on the embedded logs."""
    cases: List[Dict[str, Any]] = json.loads(REFERENCE_CASES.read_text())
    plans = cases + [case["previous"] for case in cases if "previous" in case]
    caches = _build_caches({plan["token"] for plan in plans})
    wrong = []
    for case in cases:
        for metric in METRIC_NAMES:
            difference = max(_compare_case(case, metric, caches).values())
            if not difference <= TOLERANCE:
                wrong.append(f"{case['name']} of {case['token']}, {metric}, by {difference:.0e}")
    if not wrong:
        return [Finding(Status.OK, "reference cases", f"{len(cases)} official scores, both metrics, equal to 1e-6")]
    text = f"{len(wrong)} of {len(cases) * len(METRIC_NAMES)} scores differ from the official ones: {wrong[0]}"
    return [Finding(Status.FAULT, "reference cases", text, "mend the faults above; else report it with these lines")]


def _build_caches(tokens: Any) -> Dict[str, MetricCache]:
    roots = find_roots(environ={}, split=EMBEDDED_SPLIT)
    maps = MapStore(roots.maps)
    index = index_scenes(resolve_split(EMBEDDED_SPLIT, roots), tokens=tokens)
    if index.missing_tokens:
        raise DataError(f"{REFERENCE_CASES}: scene {index.missing_tokens[0]} is not in the embedded logs")
    scenes = SceneLoader(index, maps).load_scenes()
    return {scene.token: build_metric_cache(scene, maps.load(scene.scene_metadata.map_name)) for scene in scenes}


def _compare_case(case: Dict[str, Any], metric: str, caches: Dict[str, MetricCache]) -> Dict[str, float]:
    """Differences of all columns and of the total."""
    scorer, cache, previous = Scorer(metric), caches[case["token"]], None
    if "previous" in case and scorer.metric.has_predecessors:
        before = caches[case["previous"]["token"]]
        previous = PreviousPlan(scorer.simulate(before, *_read_poses(case["previous"])).states, before.timestamp)
    scores = scorer.score(cache, *_read_poses(case), previous)
    ours = {**{name: values[0] for name, values in scores.sub_scores.items()}, "score": scores.score[0]}
    return {name: _distance(float(ours[name]), value) for name, value in case[metric].items()}


def _distance(ours: float, official: Any) -> float:
    """Absolute difference; a missing value equals only another one."""
    if official is None or np.isnan(ours):
        return 0.0 if official is None and np.isnan(ours) else float("inf")
    return abs(ours - float(official))


def _read_poses(plan: Dict[str, Any]) -> Tuple[FloatArray, TrajectorySampling]:
    poses = np.array(plan["poses"], dtype=np.float64)
    return poses[None], TrajectorySampling(len(poses), plan["interval"])
