"""The metric caches of a split, made ahead of time by a pool of workers."""

from __future__ import annotations

from functools import partial
from typing import List

from latentvla_agent.evaluation.chunks import chunk_refs
from latentvla_agent.evaluation.progress import StageProgress
from latentvla_agent.evaluation.scene_source import SceneSource
from latentvla_agent.evaluation.stages import CacheHandler, ScoreItem, StageSetup
from latentvla_agent.evaluation.workers import run_in_workers


def make_metric_caches(source: SceneSource, workers: int, time_limit: float) -> List[str]:
    """Build the caches that are missing or made of other data; returns "token: reason" for each that cannot be."""
    factory = partial(CacheHandler, StageSetup(source.roots, source.index.scene_filter, source.cache_folder))
    chunks = [[ScoreItem(ref) for ref in chunk] for chunk in chunk_refs(source.index.refs, workers)]
    failures: List[str] = []
    with StageProgress("cache", len(source.index.refs), 0) as progress:
        for outcome in run_in_workers(chunks, factory, workers, time_limit):
            failures += [f"{outcome.item.ref.token}: {outcome.error}"] if outcome.error else []
            progress.advance(failed=bool(outcome.error))
    return failures
