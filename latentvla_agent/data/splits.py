"""Which windows of which logs an evaluation takes: NAVSIM's scene filters and split names, from its own YAML."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Tuple

import yaml

from latentvla_agent.data.roots import DataRoots, find_synthetic_scenes, list_embedded_splits, list_splits
from latentvla_agent.data.stage_mapping import TwoStageGroup, read_mapping
from latentvla_agent.errors import DataError, suggest

_YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # navtest.yaml has 12,000 lines

_HYDRA_KEYS = ("_target_", "_convert_", "_recursive_", "@package")
_NAMES = ("log_names", "tokens", "synthetic_scene_tokens", "reactive_synthetic_initial_tokens")
_UNUSED_KEYS = (  # known to NAVSIM v2.2, but its two-stage script reads none of them
    "non_reactive_synthetic_initial_tokens",
    "all_mapping",
    "non_reactive_all_mapping",
    "two_stage_mapping",
)
_SPLIT_KEYS = ("data_split", "scene_filter", "defaults", "reactive_all_mapping")


@dataclass(frozen=True)
class SceneFilter:
    """Windows of `num_frames` frames every `interval` frames of a log, as NAVSIM's class of this name.

    `frame_interval` None means windows that don't overlap. The token of a window is that of its current frame, the
    last of the history. `log_names` and `tokens` None mean all.

    Synthetic scenes (NAVSIM v2.2) are taken where `include_synthetic_scenes` says so: those of
    `synthetic_scene_tokens`, or where that is None those that go on where one of the windows ends. Of them only
    `reactive_synthetic_initial_tokens` (None: all) are scored. Raises `DataError` for a value that makes no sense.
    """

    num_history_frames: int = 4
    num_future_frames: int = 10
    frame_interval: Optional[int] = None
    has_route: bool = True
    max_scenes: Optional[int] = None
    log_names: Optional[Tuple[str, ...]] = None
    tokens: Optional[Tuple[str, ...]] = None
    include_synthetic_scenes: bool = False
    synthetic_scene_tokens: Optional[Tuple[str, ...]] = None
    reactive_synthetic_initial_tokens: Optional[Tuple[str, ...]] = None

    def __post_init__(self) -> None:
        _check_count("num_history_frames", self.num_history_frames, 1)
        _check_count("num_future_frames", self.num_future_frames, 0)
        for name in ("frame_interval", "max_scenes"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name), 1)
        for name in ("has_route", "include_synthetic_scenes"):
            if not isinstance(getattr(self, name), bool):
                raise DataError(f"{name}: expected true or false, got {getattr(self, name)!r}")
        for name in _NAMES:
            _check_texts(name, getattr(self, name))

    @property
    def num_frames(self) -> int:
        """Frames of one window."""
        return self.num_history_frames + self.num_future_frames

    @property
    def interval(self) -> int:
        """Frames from the start of one window to the start of the next."""
        return self.num_frames if self.frame_interval is None else self.frame_interval


@dataclass(frozen=True)
class Split:
    """A folder of logs and the windows to take from them; `source` says in words where that was found.

    A two-stage split has a folder of synthetic scenes, and groups that belong together.
    """

    name: str
    log_folder: Path
    scene_filter: SceneFilter
    source: str
    synthetic_folder: Optional[Path] = None
    mapping: Tuple[TwoStageGroup, ...] = ()

    @property
    def second_stage_tokens(self) -> FrozenSet[str]:
        """Synthetic scenes that the split names: empty for one stage."""
        if self.synthetic_folder is None:
            return frozenset()
        mapped = frozenset(token for group in self.mapping for pair in group.second_stage for token in pair)
        named, reactive = self.scene_filter.synthetic_scene_tokens, self.scene_filter.reactive_synthetic_initial_tokens
        return mapped.union(*([reactive] if reactive is not None else [named or ()]))

    def describe(self) -> Dict[str, Any]:
        """JSON-able record for `summary.json`; lists of names as count and SHA-256 of the sorted lines.

        Folders are absolute, for whoever reads the summary somewhere else; links are kept, as sensor files go by the
        folder's name.
        """
        values = {field.name: getattr(self.scene_filter, field.name) for field in dataclasses.fields(SceneFilter)}
        values.update(frame_interval=self.scene_filter.interval)
        values.update({name: _summarise(values[name]) for name in _NAMES})
        return {
            "name": self.name,
            "log_folder": str(self.log_folder.absolute()),
            "source": self.source,
            "scene_filter": values,
            "synthetic_folder": None if self.synthetic_folder is None else str(self.synthetic_folder.absolute()),
            "mapping": _summarise([json.dumps(dataclasses.astuple(group)) for group in self.mapping]),
        }


def resolve_split(
    name: str,
    roots: DataRoots,
    *,
    frame_interval: Optional[int] = None,
    max_scenes: Optional[int] = None,
    devkit_config_dirs: Sequence[Path] = (),
) -> Split:
    """Find a split: a YAML file, else a `train_test_split` of NAVSIM, else one that lies with the data, else a folder
    of logs (every frame a scene).

    `devkit_config_dirs` are folders that hold `train_test_split/`. `frame_interval` and `max_scenes` override what the
    split says. Raises `DataError` for an unknown name, an unknown key, or a missing folder.
    """
    devkit_folders = [Path(folder) / "train_test_split" for folder in (*devkit_config_dirs, roots.config_folder)]
    split = _find_split(name, roots, devkit_folders)
    overrides: Dict[str, Any] = {"frame_interval": frame_interval, "max_scenes": max_scenes}
    named: Dict[str, Any] = {key: value for key, value in overrides.items() if value is not None}
    return dataclasses.replace(split, scene_filter=dataclasses.replace(split.scene_filter, **named))


def _find_split(name: str, roots: DataRoots, devkit_folders: Sequence[Path]) -> Split:
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise DataError(f"{name}: expected a YAML file of a split, got nothing")
        return _read_split(Path(name), Path(name).stem, roots, devkit_folders, "YAML file")
    if not _is_plain_name(name):
        raise DataError(f"split {name!r}: expected the name of a split or the path of a YAML file")
    for folder in devkit_folders:
        if (folder / f"{name}.yaml").is_file():
            source = "split of the data" if folder.parent == roots.config_folder else "NAVSIM train_test_split"
            return _read_split(folder / f"{name}.yaml", name, roots, devkit_folders, source)
    if (roots.logs / name).is_dir():
        source = "embedded split" if roots.is_embedded else "folder of logs"
        return Split(name, roots.logs / name, SceneFilter(frame_interval=1), f"{source} {roots.logs / name}")
    files = [path.stem for folder in devkit_folders for path in sorted(folder.glob("*.yaml"))]
    known = sorted({*list_splits(roots), *files, *(list_embedded_splits() if roots.is_embedded else [])})
    raise DataError(f"{roots.logs}: no split {name!r}, the known ones are: {', '.join(known)}{suggest(name, known)}")


def _read_split(path: Path, name: str, roots: DataRoots, devkit_folders: Sequence[Path], source: str) -> Split:
    content = _read_yaml(path)
    filter_values = _read_default_filter(path, content.get("defaults"), devkit_folders)
    filter_values.update(_expect_mapping(path, "scene_filter", content.get("scene_filter")))
    filter_values.update({key: value for key, value in content.items() if key not in _SPLIT_KEYS})
    folder = content.get("data_split", path.stem)
    if not isinstance(folder, str) or not _is_plain_name(folder):
        raise DataError(f"{path}: data_split: expected the name of a folder in {roots.logs}, got {folder!r}")
    if not (roots.logs / folder).is_dir():
        known = list_splits(roots)
        hint = "" if "data_split" in content else "; name the folder of its logs with the key data_split"
        raise DataError(
            f"{path}: data_split: expected a folder in {roots.logs} ({', '.join(known) or 'none there'}),"
            f" got {folder!r}{hint}{suggest(folder, known)}"
        )
    scene_filter = _build_filter(path, filter_values)
    synthetic_folder = find_synthetic_scenes(roots, name) if scene_filter.include_synthetic_scenes else None
    mapping = read_mapping(path, content.get("reactive_all_mapping"))
    return Split(name, roots.logs / folder, scene_filter, f"{source} {path}", synthetic_folder, mapping)


def _read_default_filter(path: Path, defaults: Any, devkit_folders: Sequence[Path]) -> Dict[str, Any]:
    """Content of the scene filter that Hydra's `defaults` list names: beside the file, else in the devkit."""
    entries = defaults if isinstance(defaults, list) else [] if defaults is None else [defaults]
    values: Dict[str, Any] = {}
    for entry in entries:
        if entry == "_self_":
            continue
        name = entry.get("scene_filter") if isinstance(entry, dict) and len(entry) == 1 else None
        if not isinstance(name, str) or not _is_plain_name(name):
            raise DataError(f"{path}: defaults: expected '- scene_filter: NAME', got {entry!r}")
        places = [folder / "scene_filter" / f"{name}.yaml" for folder in (path.parent, *devkit_folders)]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise DataError(f"{path}: defaults: expected the scene filter {places[0]}, got nothing")
        values.update(_read_yaml(found))
    return values


def _build_filter(path: Path, values: Dict[str, Any]) -> SceneFilter:
    known = [field.name for field in dataclasses.fields(SceneFilter)]
    for key, value in values.items():
        if key in _UNUSED_KEYS and value:
            raise DataError(f"{path}: {key}: expected null, NAVSIM's two-stage script knows reactive_all_mapping only")
        if key not in (*known, *_HYDRA_KEYS, *_UNUSED_KEYS):
            raise DataError(f"{path}: unknown key {key!r}{suggest(str(key), [*known, *_SPLIT_KEYS])}")
    chosen = {key: value for key, value in values.items() if key in known}
    for key in _NAMES:
        if isinstance(chosen.get(key), list):
            chosen[key] = tuple(chosen[key])
    try:
        return SceneFilter(**chosen)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _read_yaml(path: Path) -> Dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_YamlLoader)  # a safe loader: plain values only
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not a readable YAML file ({' '.join(str(error).split())})") from error
    return _expect_mapping(path, "content", content)


def _expect_mapping(path: Path, key: str, value: Any) -> Dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise DataError(f"{path}: {key}: expected a mapping, got {type(value).__name__}")
    return dict(value or {})


def _is_plain_name(name: str) -> bool:
    """Whether a name stays in the folder that it is looked up in."""
    return name not in ("", ".", "..") and not any(char in name for char in "/\\\0")


def _check_count(name: str, value: object, minimum: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise DataError(f"{name}: expected an integer of at least {minimum}, got {value!r}")


def _check_texts(name: str, values: object) -> None:
    if values is None:
        return
    if not isinstance(values, tuple):
        raise DataError(f"{name}: expected a list of texts, got {type(values).__name__}")
    for value in values:
        if not isinstance(value, str):
            raise DataError(f"{name}: expected texts, got {value!r} (in YAML, quote names that look like numbers)")


def _summarise(names: Optional[Sequence[str]]) -> Optional[Dict[str, Any]]:
    if names is None:
        return None
    lines: List[str] = sorted(names)
    return {"count": len(lines), "sha256": hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()}
