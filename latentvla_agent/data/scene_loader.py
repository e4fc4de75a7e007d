"""Finds the scenes of a split and builds them one log at a time, so that memory doesn't grow with the data."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Collection, Dict, FrozenSet, Iterable, Iterator, List, Optional, Set, Tuple

from latentvla_agent.data.logs import LogFrame, list_logs, read_log
from latentvla_agent.data.outlines import OutlineStore
from latentvla_agent.data.scene import Frame, Scene, SceneMetadata, frame_from_log
from latentvla_agent.data.second_stage import SecondStage, SyntheticOutline, choose_synthetic_scenes
from latentvla_agent.data.sensors import SensorStore
from latentvla_agent.data.splits import SceneFilter, Split
from latentvla_agent.data.synthetic_scenes import read_synthetic_scene
from latentvla_agent.errors import DataError

ADJACENT_MAX_GAP_S = 0.55  # two scenes further apart are no pair for two-frame comfort (NAVSIM v2.2)


@dataclass(frozen=True)
class SceneRef:
    """Where a scene lies: a window from frame `start` of a log. `previous` is the token half a second earlier.

    A synthetic scene is a file of its own, `log_path`.
    """

    log_path: Path
    log_name: str
    start: int
    token: str
    map_name: str
    previous: Optional[str]
    is_synthetic: bool = False


@dataclass(frozen=True)
class SceneIndex:
    """Scenes of a split in the order of log file names and time, and what was asked for but is not among them.

    `synthetic_refs` are the second stage of a two-stage split, in the order of file names. Dropped windows are counted
    among those asked for. `bad_logs` holds (path, reason), bad synthetic scenes too. `missing_tokens` is empty where
    `max_scenes` ended the search early.
    """

    refs: Tuple[SceneRef, ...]
    scene_filter: SceneFilter
    dropped_no_route: int = 0
    dropped_too_short: int = 0
    bad_logs: Tuple[Tuple[Path, str], ...] = ()
    missing_logs: Tuple[str, ...] = ()
    missing_tokens: Tuple[str, ...] = ()
    synthetic_refs: Tuple[SceneRef, ...] = ()

    @property
    def all_refs(self) -> Tuple[SceneRef, ...]:
        """Every scene in which an agent plans: the first stage, then the second."""
        return self.refs + self.synthetic_refs


def index_scenes(
    split: Split,
    *,
    tokens: Optional[Collection[str]] = None,
    skip_bad_logs: bool = False,
    progress: bool = False,
    outlines: Optional[OutlineStore] = None,
) -> SceneIndex:
    """Read every log and synthetic scene of the split once and keep references to its scenes, cut as NAVSIM cuts them.

    `tokens` narrows the split further, maybe to nothing: whoever names tokens looks at `missing_tokens`. Raises
    `DataError` for a broken log (unless `skip_bad_logs`), for a token that names two windows (where NAVSIM keeps the
    later one), and where the split holds no scene. `progress` prints to stderr. A log that `outlines` keeps
    unchanged is not read again.
    """
    paths, missing_logs = _choose_logs(split)
    search = _Search(split.scene_filter, tokens)
    bad_logs: List[Tuple[Path, str]] = []
    for number, path in enumerate(paths, start=1):
        if progress:
            print(f"reading logs {number}/{len(paths)}", end="\r", file=sys.stderr, flush=True)
        try:
            frames = outlines.read(path) if outlines else read_log(path)
        except DataError as error:
            if not skip_bad_logs:
                raise
            bad_logs.append((path, str(error)))
            continue
        search.add_log(path, frames)
        if search.is_full:
            break
    if progress:
        print(file=sys.stderr)
    if not search.refs and tokens is None:
        raise DataError(_explain_emptiness(split, search, len(bad_logs), missing_logs))
    second = choose_synthetic_scenes(
        split,
        search.last_frames,
        tokens=tokens,
        skip_bad_files=skip_bad_logs,
        progress=progress,
        outlines=outlines,
    )
    return search.build_index((*bad_logs, *second.bad_files), missing_logs, second)


class SceneLoader:
    """Builds scenes of an index; holds the frames of one log. `maps` is what `Scene.map_api` loads city maps from.

    `sensors` is where `Scene.get_agent_input` finds cameras and lidar.
    """

    def __init__(self, index: SceneIndex, maps: Optional[Any] = None, sensors: Optional[SensorStore] = None) -> None:
        self._index = index
        self._maps = maps
        self._sensors = sensors
        self._refs = {ref.token: ref for ref in index.all_refs}
        self._log_path: Optional[Path] = None
        self._log: List[LogFrame] = []
        self._frames: Dict[int, Frame] = {}  # windows overlap: each frame of the log is built once

    def __len__(self) -> int:
        return len(self._index.all_refs)

    def load(self, token: str) -> Scene:
        """The scene of one token; `DataError` if it is not in the index. Fast within the log that was used last."""
        if token not in self._refs:
            raise DataError(f"scene {token}: expected one of the {len(self)} scenes of the split")
        return self.build(self._refs[token])

    def load_scenes(self, refs: Optional[Iterable[SceneRef]] = None) -> Iterator[Scene]:
        """Scenes of `refs` (default: all), log by log in the order in which the logs first occur."""
        by_log: Dict[Path, List[SceneRef]] = {}
        for ref in self._index.all_refs if refs is None else refs:
            by_log.setdefault(ref.log_path, []).append(ref)
        for group in by_log.values():
            for ref in group:
                yield self.build(ref)

    def build(self, ref: SceneRef) -> Scene:
        """The scene of a reference, whether or not the index holds it."""
        if ref.is_synthetic:
            files = self._sensors.open_synthetic_scene(ref.log_path) if self._sensors else None
            scene = read_synthetic_scene(ref.log_path, self._maps, files)
            if scene.token != ref.token:
                raise DataError(f"{ref.log_path}: expected the scene {ref.token}, got {scene.token}; it has changed")
            return scene
        self._open_log(ref.log_path)
        window = self._index.scene_filter
        current = ref.start + window.num_history_frames - 1
        if ref.start + window.num_frames > len(self._log) or self._log[current]["token"] != ref.token:
            raise DataError(f"{ref.log_path}: expected token {ref.token} at frame {current}; the log has changed")
        metadata = SceneMetadata(
            log_name=self._log[current]["log_name"],
            scene_token=self._log[current]["scene_token"],
            map_name=self._log[current]["map_location"],
            initial_token=ref.token,
            num_history_frames=window.num_history_frames,
            num_future_frames=window.num_future_frames,
        )
        frames = [self._build_frame(position) for position in range(ref.start, ref.start + window.num_frames)]
        return Scene(metadata, frames, self._maps, self._sensors.open_log(ref.log_path) if self._sensors else None)

    def _open_log(self, path: Path) -> None:
        if path != self._log_path:
            self._log_path, self._log, self._frames = None, [], {}  # release the old log before reading the next
            self._log = read_log(path)
            self._log_path = path

    def _build_frame(self, position: int) -> Frame:
        if position not in self._frames:
            self._frames[position] = frame_from_log(self._log[position])
        return self._frames[position]


class _Search:
    """Collects references log by log, and counts what it leaves out."""

    def __init__(self, scene_filter: SceneFilter, tokens: Optional[Collection[str]]) -> None:
        self.refs: Dict[str, SceneRef] = {}
        self.no_route = 0
        self.too_short = 0
        self._filter = scene_filter
        self._allowed = None if scene_filter.tokens is None else frozenset(scene_filter.tokens)
        self._asked: Optional[FrozenSet[str]] = self._allowed if tokens is None else frozenset(tokens)
        self._seen: Set[str] = set()
        self.last_frames: Set[str] = set()  # of the windows: there the scenes of a second stage begin

    @property
    def is_full(self) -> bool:
        return self._filter.max_scenes is not None and len(self.refs) >= self._filter.max_scenes

    def add_log(self, path: Path, frames: List[LogFrame]) -> None:
        for start in range(0, len(frames), self._filter.interval):
            if start + self._filter.num_frames > len(frames):
                self.too_short += 1
                continue
            current = frames[start + self._filter.num_history_frames - 1]
            if not self._is_asked(current["token"]):
                continue
            self._seen.add(current["token"])
            if self._filter.has_route and len(current["roadblock_ids"]) == 0:
                self.no_route += 1
                continue
            self._add(_make_ref(path, frames, start, self._filter.num_history_frames))
            self.last_frames.add(frames[start + self._filter.num_frames - 1]["token"])
            if self.is_full:
                return

    def build_index(
        self, bad_logs: Tuple[Tuple[Path, str], ...], missing_logs: Tuple[str, ...], second: SecondStage
    ) -> SceneIndex:
        synthetic_refs = tuple(_make_synthetic_ref(scene) for scene in second.scenes)
        found = self._seen.union(ref.token for ref in synthetic_refs)
        missing = [] if self.is_full else [*sorted((self._asked or frozenset()) - found), *second.missing_tokens]
        return SceneIndex(
            refs=tuple(self.refs.values()),
            scene_filter=self._filter,
            dropped_no_route=self.no_route,
            dropped_too_short=self.too_short,
            bad_logs=bad_logs,
            missing_logs=missing_logs,
            missing_tokens=tuple(missing),
            synthetic_refs=synthetic_refs,
        )

    def _is_asked(self, token: str) -> bool:
        return (self._allowed is None or token in self._allowed) and (self._asked is None or token in self._asked)

    def _add(self, ref: SceneRef) -> None:
        other = self.refs.get(ref.token)
        if other is not None:
            raise DataError(
                f"{ref.log_path}: token {ref.token} of the window at frame {ref.start} is also that of"
                f" {other.log_path}, frame {other.start}; expected tokens that name one scene"
            )
        self.refs[ref.token] = ref


def _make_ref(path: Path, frames: List[LogFrame], start: int, num_history_frames: int) -> SceneRef:
    current = frames[start + num_history_frames - 1]
    previous = None
    if start > 0:  # no window of this log can begin before its first frame
        before = frames[start + num_history_frames - 2]
        gap_s = 1e-6 * (int(current["timestamp"]) - int(before["timestamp"]))
        previous = before["token"] if abs(gap_s) <= ADJACENT_MAX_GAP_S else None
    return SceneRef(path, current["log_name"], start, current["token"], current["map_location"], previous)


def _make_synthetic_ref(scene: SyntheticOutline) -> SceneRef:
    return SceneRef(scene.path, scene.log_name, 0, scene.token, scene.map_name, None, is_synthetic=True)


def _choose_logs(split: Split) -> Tuple[List[Path], Tuple[str, ...]]:
    """Log files that the filter names, and the names that it has no file for."""
    paths = list_logs(split.log_folder)
    if split.scene_filter.log_names is None:
        return paths, ()
    names = frozenset(split.scene_filter.log_names)
    chosen = [path for path in paths if path.stem in names]
    return chosen, tuple(sorted(names - {path.stem for path in chosen}))


def _explain_emptiness(split: Split, search: _Search, bad_logs: int, missing_logs: Tuple[str, ...]) -> str:
    return (
        f"{split.log_folder}: expected scenes for split {split.name}, got none: {search.no_route} windows without"
        f" route, {search.too_short} too short, {bad_logs} broken logs, {len(missing_logs)} logs of the filter missing"
    )
