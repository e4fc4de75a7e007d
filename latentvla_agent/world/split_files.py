"""Splits of the user's own: a YAML file with other shares, sizes and rules, or with the roads of an OpenDRIVE map."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Sequence, Tuple

import yaml

from latentvla_agent.data.worlds import WORLD_PREFIX
from latentvla_agent.errors import ConfigError, suggest
from latentvla_agent.world.splits import ALL_EVENTS, NO_EVENT, SPLITS, WEATHER, Shares, SplitConfig, WindowRules

LIKE = "like"  # the published split whose entries hold where the file has none
KINDS: Mapping[str, Tuple[str, ...]] = {"events": (NO_EVENT, *ALL_EVENTS), "weather": WEATHER}
REQUIRED = ("name", "seed", "scenes")
HIDDEN = ("part_of", "picture_size")  # there are options for these
RULE_TYPES: Mapping[str, type] = {**{name: type(value) for name, value in vars(WindowRules()).items()}, "per_log": int}


def read_split_file(path: Path) -> SplitConfig:
    """The split that a YAML file describes: fields of `SplitConfig`, shares as mappings, `rules` as a mapping of the
    fields of `WindowRules`, and `like` for the published split that gives the rest.

    `opendrive` is relative to the file. Raises `ConfigError` naming file, entry, expected and got.
    """
    values = _read_mapping(path)
    base = _find_base(path, values.pop(LIKE, None))
    known = [field.name for field in dataclasses.fields(SplitConfig) if field.name not in HIDDEN]
    _check_keys(path, values, [*known, LIKE])
    for key in REQUIRED:
        if key not in values:
            raise ConfigError(f"{path}: expected an entry {key!r}")
    _check_name(path, values["name"])
    for key, kinds in KINDS.items():
        if key in values:
            values[key] = _read_shares(path, key, values[key], kinds)
    if "rules" in values:
        values["rules"] = _read_rules(path, values["rules"], base.rules)
    if "opendrive" in values:
        values["opendrive"] = _find_map(path, values["opendrive"])
    for key, value in values.items():
        values[key] = _expect(path, key, value, type(getattr(base, key)))
    _check_seed(path, values["seed"])
    config = dataclasses.replace(base, **values)
    if config.balance and not config.rare_kinds:
        raise ConfigError(f"{path}: balance: expected shares of events or rare weather to balance, got none")
    return config


def _read_mapping(path: Path) -> Dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a readable YAML file ({' '.join(str(error).split())})") from error
    return dict(_expect(path, "content", content, dict))


def _find_base(path: Path, name: Any) -> SplitConfig:
    if name is None:
        return SplitConfig("", seed=0, scenes=0, rules=WindowRules())
    _check_keys(path, [str(name)], list(SPLITS))
    return SPLITS[str(name)]


def _find_map(path: Path, name: Any) -> str:
    found = (path.parent / _expect(path, "opendrive", name, str)).resolve()
    if not found.is_file():
        raise ConfigError(f"{path}: opendrive: expected a file, got nothing at {found}")
    return str(found)


def _check_name(path: Path, name: Any) -> None:
    _expect(path, "name", name, str)
    plain = name.replace("-", "").replace("_", "")
    if not (name.startswith(WORLD_PREFIX) and plain.isascii() and plain.isalnum()):
        raise ConfigError(f"{path}: name: expected {WORLD_PREFIX} and letters, digits, - or _, got {name!r}")
    if any(name == other or name.startswith(f"{other}-") for other in SPLITS):
        raise ConfigError(f"{path}: name: {name!r} is that of a published split or of an edition of it")


def _check_seed(path: Path, seed: int) -> None:
    """A town's roads follow from seed and number alone: those that agents are scored on are nobody else's."""
    for name, published in SPLITS.items():
        if seed == published.seed:
            raise ConfigError(f"{path}: seed: {seed} is that of {name}, whose towns these would be; expected another")


def _read_shares(path: Path, key: str, value: Any, kinds: Sequence[str]) -> Shares:
    shares = _expect(path, key, value, dict)
    _check_keys(path, shares, kinds)
    pairs = tuple((str(kind), _expect(path, f"{key}: {kind}", share, float)) for kind, share in shares.items())
    if min((share for _, share in pairs), default=0.0) < 0.0 or sum(share for _, share in pairs) <= 0.0:
        raise ConfigError(f"{path}: {key}: expected shares of at least 0, not all 0, got {shares}")
    total = sum(share for _, share in pairs)
    return tuple((kind, share / total) for kind, share in pairs)


def _read_rules(path: Path, value: Any, base: WindowRules) -> WindowRules:
    rules = _expect(path, "rules", value, dict)
    _check_keys(path, rules, [field.name for field in dataclasses.fields(WindowRules)])
    checked: Dict[str, Any] = {}
    for name, entry in rules.items():
        is_open = name == "per_log" and entry is None  # all windows of a log
        checked[name] = None if is_open else _expect(path, f"rules: {name}", entry, RULE_TYPES[name])
    return dataclasses.replace(base, **checked)


def _expect(path: Path, key: str, value: Any, kind: type) -> Any:
    """The value as `kind`: a whole number is a float too, a truth value is no number."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{path}: {key}: expected {kind.__name__}, got {value!r}")
    return value


def _check_keys(path: Path, keys: Iterable[Any], known: Sequence[str]) -> None:
    for key in keys:
        if key not in known:
            hint = suggest(str(key), known) or f"; known: {', '.join(known)}"
            raise ConfigError(f"{path}: unknown entry {key!r}{hint}")
