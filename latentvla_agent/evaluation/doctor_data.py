"""Do logs, maps, split and metric caches exist, and do they belong together? Reads logs, never sensor files."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from latentvla_agent.data.logs import list_logs
from latentvla_agent.data.map_layers import LAYER_COLUMNS
from latentvla_agent.data.maps import MAP_VERSIONS_FILE, MapStore
from latentvla_agent.data.roots import DataRoots, find_roots, list_splits
from latentvla_agent.data.scene_loader import SceneIndex, SceneRef, index_scenes
from latentvla_agent.data.splits import Split, resolve_split
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.doctor import Finding, Patient, Status
from latentvla_agent.evaluation.doctor_devkit import find_config_folders
from latentvla_agent.evaluation.stages import CacheHandler, StageSetup
from latentvla_agent.scoring.metric_cache import cache_path, read_metric_cache

LOCATIONS = ("sg-one-north", "us-ma-boston", "us-nv-las-vegas-strip", "us-pa-pittsburgh-hazelwood")
UNREADABLE = "not a readable GeoPackage"
MEND_MAPS = "download nuPlan's maps (v1.0) again and name their folder with --maps or NUPLAN_MAPS_ROOT"
MEND_LOGS = "name the data with --data or OPENSCENE_DATA_ROOT; the folder must hold navsim_logs/"


def check_roots(patient: Patient) -> Sequence[Finding]:
    """Logs by split, and sensor files."""
    try:
        roots = find_roots(patient.data, patient.maps, synthetic_scenes=patient.synthetic_scenes, split=patient.split)
    except DataError as error:
        return [Finding(Status.FAULT, "data", str(error), MEND_LOGS)]
    counts = {name: len(list((roots.logs / name).glob("*.pkl"))) for name in list_splits(roots)}
    if not any(counts.values()):
        return [Finding(Status.FAULT, "data", f"{roots.logs} holds no folder with logs (*.pkl)", MEND_LOGS)]
    listed = ", ".join(f"{name} {count} logs" for name, count in counts.items())
    if roots.is_embedded:
        return [Finding(Status.OK, "data", f"embedded logs, no other is named: {listed}")]
    findings = [Finding(Status.OK, "data", f"{roots.logs}: {listed}")]
    if not roots.sensors.is_dir():
        text = f"{roots.sensors} is missing: only agents without cameras and lidar can run"
        findings.append(Finding(Status.WARNING, "data", text, "download the sensor files of the split, or ignore it"))
    return findings


def check_maps(patient: Patient) -> Sequence[Finding]:
    """The versions file and the four locations."""
    roots = _find_roots(patient)
    if roots is None:
        return []
    if not (roots.maps / MAP_VERSIONS_FILE).is_file():
        text = f"{roots.maps} is no nuPlan maps folder: {MAP_VERSIONS_FILE} is missing"
        return [Finding(Status.FAULT, "maps", text, MEND_MAPS)]
    store = MapStore(roots.maps)
    problems = {location: _find_map_problem(store, location) for location in LOCATIONS}
    there = [location for location, problem in problems.items() if not problem]
    for problem in problems.values():
        if UNREADABLE in problem:
            return [Finding(Status.FAULT, "maps", problem, MEND_MAPS)]
    if not there:
        return [Finding(Status.FAULT, "maps", f"{roots.maps}: none of the four locations can be used", MEND_MAPS)]
    if len(there) < len(LOCATIONS) and not roots.is_embedded:
        lacking = "; ".join(problem for problem in problems.values() if problem)
        text = f"only {', '.join(there)} can be used, which is enough if all scenes lie there: {lacking}"
        return [Finding(Status.WARNING, "maps", text, MEND_MAPS)]
    return [Finding(Status.OK, "maps", f"{roots.maps}: {', '.join(there)}")]


def _find_roots(patient: Patient) -> Optional[DataRoots]:
    try:
        return find_roots(patient.data, patient.maps, synthetic_scenes=patient.synthetic_scenes, split=patient.split)
    except DataError:
        return None  # check_roots has said so


def _find_map_problem(store: MapStore, location: str) -> str:
    """Why a map can't be used, from its table of layers alone; empty if it can."""
    try:
        path = store.path_of(location)
    except DataError as error:
        return str(error) if "unknown map location" not in str(error) else f"{location} not found"
    try:
        layers = {name for name, _ in pyogrio.list_layers(path)}
    except (DataSourceError, DataLayerError) as error:
        return f"{path}: {UNREADABLE} ({error})"
    lacking = sorted(set(LAYER_COLUMNS) - layers)
    return f"{path}: layer {lacking[0]} is missing" if lacking else ""


def check_split(patient: Patient) -> Sequence[Finding]:
    """Logs and scenes of the split that are missing, the maps that it needs, its metric caches."""
    roots = _find_roots(patient)
    if patient.split is None or roots is None:
        return []
    split = resolve_split(patient.split, roots, devkit_config_dirs=find_config_folders())
    findings = list(_judge_logs(split))
    if findings and findings[0].status is Status.FAULT:
        return findings
    index = index_scenes(split, skip_bad_logs=True, progress=sys.stderr.isatty())
    findings += [*_judge_scenes(split, index), *_judge_locations(roots, index)]
    if patient.cache is not None and not any(finding.status is Status.FAULT for finding in findings):
        findings += _judge_caches(roots, index, patient.cache)
    return findings


def _judge_logs(split: Split) -> Sequence[Finding]:
    names = split.scene_filter.log_names
    if names is None:
        return []
    present = {path.stem for path in list_logs(split.log_folder)}
    missing = sorted(set(names) - present)
    if not missing:
        return [Finding(Status.OK, "split", f"{split.name}: all {len(names)} logs are in {split.log_folder}")]
    text = f"{split.name}: {len(missing)} of {len(names)} logs are not in {split.log_folder}, such as {missing[0]}"
    if len(missing) == len(set(names)):
        mend = "these are the logs of another split (mini is not test): name the folder that the split was made of"
        return [Finding(Status.FAULT, "split", text, mend)]
    return [Finding(Status.FAULT, "split", text, "download the missing logs; a score without them is of another split")]


def _judge_scenes(split: Split, index: SceneIndex) -> List[Finding]:
    logs = len({ref.log_path for ref in index.refs})
    text = f"{split.name}: {len(index.refs)} scenes in {logs} logs"
    if split.synthetic_folder is not None:
        text += f", {len(index.synthetic_refs)} synthetic scenes in {split.synthetic_folder}"
    findings = []
    if index.bad_logs:
        text_bad = f"{len(index.bad_logs)} logs can't be read: {index.bad_logs[0][1]}"
        findings.append(Finding(Status.FAULT, "split", text_bad, "download them again, or use --skip-bad-logs"))
    if index.missing_tokens:
        text_missing = f"{len(index.missing_tokens)} scenes are in none of the logs, such as {index.missing_tokens[0]}"
        findings.append(Finding(Status.FAULT, "split", f"{text}; {text_missing}", "use the logs of this split"))
    else:
        findings.append(Finding(Status.OK, "split", f"{text}; {index.dropped_no_route} without a route left out"))
    return findings


def _judge_locations(roots: DataRoots, index: SceneIndex) -> List[Finding]:
    store, needed = MapStore(roots.maps), Counter(ref.map_name for ref in index.all_refs)
    try:
        problems = {location: _find_map_problem(store, location) for location in needed}
    except DataError as error:
        return [Finding(Status.FAULT, "split", str(error), MEND_MAPS)]
    lacking = [location for location, problem in problems.items() if problem]
    if not lacking:
        return [Finding(Status.OK, "split", f"its maps are there: {', '.join(sorted(needed))}")]
    count = sum(needed[location] for location in lacking)
    text = f"{count} scenes have no map: {problems[lacking[0]]}"
    return [Finding(Status.FAULT, "split", text, MEND_MAPS)]


def _judge_caches(roots: DataRoots, index: SceneIndex, folder: Path) -> List[Finding]:
    there, stale = _count_caches(roots, index, folder)
    total = len(index.refs)
    text = f"{folder}: {there - stale} of {total} metric caches"
    if stale:
        text += f", {stale} more are stale or broken (of another version, config, log, map or window)"
    if there - stale == total:
        return [Finding(Status.OK, "caches", text)]
    return [Finding(Status.WARNING, "caches", text, "the next run makes the others; or now: latentvla cache")]


def _count_caches(roots: DataRoots, index: SceneIndex, folder: Path) -> Tuple[int, int]:
    """Caches that are there, and how many of them do not fit."""
    handler = CacheHandler(StageSetup(roots, index.scene_filter, folder))
    there = stale = 0
    for ref in index.refs:
        path = cache_path(folder, ref.log_name, ref.token)
        if path.is_file():
            there += 1
            stale += not _fits(path, ref, handler)
    return there, stale


def _fits(path: Path, ref: SceneRef, handler: CacheHandler) -> bool:
    try:
        read_metric_cache(path, source=handler.sources.source_of(ref))
    except DataError:
        return False
    return True
