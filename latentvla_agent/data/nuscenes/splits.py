"""Which of nuScenes' scenes a split consists of, as its authors publish it.

`val` of v1.0-trainval has 150 scenes with 6,019 samples, `train` is the rest of that version; v1.0-mini has two splits
of its own. A database that holds other scenes, such as a miniature of ours, has none of these.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import FrozenSet, List, Mapping, Optional, Sequence, Tuple

from latentvla_agent.data.checks import holds_texts
from latentvla_agent.data.nuscenes.tables import TABLE_NAMES, read_json
from latentvla_agent.errors import ConfigError, DataError, suggest

VERSIONS = ("v1.0-mini", "v1.0-trainval")
# From and to, of the numbers in their names.
_VAL: Tuple[Tuple[int, int], ...] = (
    (3, 3),
    (12, 18),
    (35, 36),
    (38, 39),
    (92, 110),
    (221, 221),
    (268, 278),
    (329, 332),
    (344, 346),
    (519, 524),
    (552, 565),
    (625, 627),
    (629, 630),
    (632, 638),
    (770, 771),
    (775, 775),
    (777, 778),
    (780, 784),
    (794, 800),
    (802, 802),
    (904, 917),
    (919, 931),
    (962, 963),
    (966, 969),
    (971, 972),
    (1059, 1073),
)
_MINI_VAL = (103, 916)
_MINI_TRAIN = (61, 553, 655, 757, 796, 1077, 1094, 1100)


def _name_scenes(numbers: Sequence[int]) -> FrozenSet[str]:
    return frozenset(f"scene-{number:04d}" for number in numbers)


VAL = _name_scenes([number for first, last in _VAL for number in range(first, last + 1)])
SPLITS: Mapping[str, FrozenSet[str]] = MappingProxyType(
    {"val": VAL, "mini_val": _name_scenes(_MINI_VAL), "mini_train": _name_scenes(_MINI_TRAIN)}
)
TRAIN = "train"  # what `val` leaves
ALL = "all"  # whatever the database holds


def find_version(root: Path, version: Optional[str] = None) -> str:
    """The version that is asked for, else the only one that is there; raises `DataError` for none and for several."""
    found = [name for name in _list_versions(root) if version in (None, name)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(_list_versions(root)) or "none"
    expected = f"the tables of {version}" if version else f"one folder of tables, such as {' or '.join(VERSIONS)}"
    hint = "; name one with --version" if len(found) > 1 else ""
    raise DataError(f"{root}: expected {expected}, the folders of tables there are: {there}{hint}")


def _list_versions(root: Path) -> List[str]:
    return sorted(path.name for path in root.glob("*") if (path / f"{TABLE_NAMES[0]}.json").is_file())


def choose_scenes(split: str, there: Sequence[str]) -> List[str]:
    """Names of the scenes of a split, in the order of `there`, which are those of the database.

    `split`: `all`, `train`, one of `SPLITS`, or a JSON file with a list of names. Raises `ConfigError` for an unknown
    split, `DataError` for scenes that the database lacks.
    """
    if split == ALL:
        return list(there)
    if split == TRAIN:
        wanted = frozenset(there) - VAL
    elif split in SPLITS:
        wanted = SPLITS[split]
    elif split.endswith(".json"):
        wanted = _read_names(Path(split))
    else:
        known = (ALL, TRAIN, *SPLITS)
        hint = suggest(split, known) or f"; there are: {', '.join(known)}, or a JSON file with names of scenes"
        raise ConfigError(f"unknown split of nuScenes {split!r}{hint}")
    missing = sorted(wanted - frozenset(there))
    if missing or not wanted:
        raise DataError(
            f"split {split}: expected {len(wanted)} scenes, the database lacks {len(missing)} of them, "
            f"e.g. {', '.join(missing[:3]) or 'all'}"
        )
    return [name for name in there if name in wanted]


def _read_names(path: Path) -> FrozenSet[str]:
    names = read_json(path)
    if not isinstance(names, list) or not holds_texts(names):
        raise DataError(f"{path}: expected a JSON list of names of scenes")
    return frozenset(names)
