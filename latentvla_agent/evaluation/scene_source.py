"""A split, opened for work: its scenes, where they lie, and where their metric caches are kept."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Collection, Optional

from latentvla_agent.data.file_hashes import HashStore
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.outlines import OutlineStore
from latentvla_agent.data.roots import DataRoots, default_split, find_roots
from latentvla_agent.data.scene_loader import SceneIndex, index_scenes
from latentvla_agent.data.splits import Split, resolve_split
from latentvla_agent.data.world_manifests import describe_difference
from latentvla_agent.data.worlds import cache_base
from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.doctor_devkit import find_config_folders
from latentvla_agent.evaluation.folders import make_folder
from latentvla_agent.scoring.metric_cache import VERSION as CACHE_VERSION
from latentvla_agent.scoring.warm_up import compile_kernels


@dataclass(frozen=True)
class SplitRequest:
    """What the user said of the scenes; None is what was left open."""

    data: Optional[Path] = None
    maps: Optional[Path] = None
    split: Optional[str] = None
    frame_interval: Optional[int] = None
    max_scenes: Optional[int] = None
    cache: Optional[Path] = None
    skip_bad_logs: bool = False
    synthetic_scenes: Optional[Path] = None


@dataclass(frozen=True)
class SceneSource:
    """The scenes of a split. Nothing is written before `prepare`."""

    roots: DataRoots
    split: Split
    index: SceneIndex
    cache_folder: Path
    outlines: OutlineStore

    @property
    def hashes(self) -> HashStore:
        """Hashes of files, kept beside the metric caches."""
        return HashStore(self.cache_folder.parent / "file-hashes")

    def prepare(self) -> None:
        """Make the folder of metric caches, keep what was read of the logs, compile the kernels."""
        make_folder(self.cache_folder)
        self.outlines.save()
        compile_kernels()


def open_source(
    request: SplitRequest, tokens: Optional[Collection[str]] = None, *, two_stages: bool = False
) -> SceneSource:
    """Find the scenes, narrowed to `tokens`; every log and every map that they need was opened once.

    Raises `ConfigError` for a two-stage split, unless the caller knows how to score `two_stages`.
    """
    roots = find_roots(request.data, request.maps, synthetic_scenes=request.synthetic_scenes, split=request.split)
    difference = describe_difference(roots.logs.parent)
    if difference is not None:
        print(f"latentvla: {difference}", file=sys.stderr)
    split = find_split(request, roots)
    if split.synthetic_folder is not None and not two_stages:
        raise ConfigError(
            f"split {split.name}: the second stage (synthetic scenes) is the official scorer's, the embedded scorer"
            " knows one stage only; use --scorer official, or another split"
        )
    cache_folder = find_cache(request.cache)
    outlines = OutlineStore(cache_folder.parent / "log-outlines")
    index = index_scenes(
        split,
        tokens=tokens,
        skip_bad_logs=request.skip_bad_logs,
        progress=sys.stderr.isatty(),
        outlines=outlines,
    )
    for _, reason in index.bad_logs:
        print(f"latentvla: skipped bad log: {reason}", file=sys.stderr)
    maps = MapStore(roots.maps)
    for location in sorted({ref.map_name for ref in index.all_refs}):
        maps.load(location).read_all_layers()
    return SceneSource(roots, split, index, cache_folder, outlines)


def find_split(request: SplitRequest, roots: DataRoots) -> Split:
    """The split that is named, printed with what it resolves to."""
    split = resolve_split(
        request.split or default_split(roots),
        roots,
        frame_interval=request.frame_interval,
        max_scenes=request.max_scenes,
        devkit_config_dirs=find_config_folders(),
    )
    window = split.scene_filter
    print(
        f"split {split.name}: {split.source}; history {window.num_history_frames}, future {window.num_future_frames}, "
        f"interval {window.interval}, has_route {str(window.has_route).lower()}, max_scenes {window.max_scenes}",
        file=sys.stderr,
    )
    return split


def find_cache(folder: Optional[Path]) -> Path:
    """Folder of metric caches: the one named, or the user's cache folder."""
    return (folder or cache_base()) / f"metric-caches-{CACHE_VERSION}"
