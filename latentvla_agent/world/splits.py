"""The splits of the embedded world: how many scenes, of which rare events, chosen by which rules, from which seed.

Towns are never shared: a town's seed is made of the split's seed and the town's number. What the rules are for: the
evaluation splits hold scenes that neither going straight on nor the human's own mistakes decide (NAVSIM filters
likewise), `minitown-unlabelled` holds whatever was driven, since latent actions are learned without any score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Dict, Optional, Tuple

from latentvla_agent.errors import ConfigError, suggest

Shares = Tuple[Tuple[str, float], ...]

# Kinds of events that each group of splits may hold; `minitown-longtail` alone has all of them.
TRAINED_EVENTS = ("lead_brakes_hard", "cut_in", "stalled_vehicle")
UNLABELLED_EVENTS = (*TRAINED_EVENTS, "cones", "pedestrian_steps_out", "red_light_runner", "blocked_intersection")
ALL_EVENTS = (*UNLABELLED_EVENTS, "wrong_way_vehicle", "roundabout_entry")
# An ego is open to all kinds of its split, in a drawn order; those that seldom find their place come early.
TRIED_FIRST = {"red_light_runner": 6.0, "roundabout_entry": 6.0}
RARE_WEATHER = ("rain", "night", "fog")
WEATHER = ("clear", "overcast", *RARE_WEATHER)
NO_EVENT = "none"
DEFAULT_SIZE = (480, 270)  # of pictures: width, height [px]
SIZE_LIMITS = (16, 4096)  # of either


@dataclass(frozen=True)
class WindowRules:
    """Which windows of a drive become scenes; the scores are PDMS v1.1 of the embedded scorer.

    `per_log` None: all of them. `min_gap` counts 2 Hz frames between two windows of a log; `events_first`: windows with
    an event are taken before others. A window belongs to an event that begins between `event_lead` before and
    `event_lag` after its current frame (frames; the human reacts in the future part).
    """

    is_scored: bool = True
    max_constant_velocity: float = 0.8
    max_stop: float = 1.0  # in windows without an event: to brake is often all that an event asks for
    min_human: float = 0.8
    per_log: Optional[int] = None
    min_gap: int = 1
    events_first: bool = True
    event_lead: int = 3
    event_lag: int = 5


@dataclass(frozen=True)
class SplitConfig:
    """One split. `weather` is shares of the drives, `events` of the egos; the share of a kind of event says how early
    it may try to happen to an ego, who is open to all kinds. With `balance` every kind gets equally many scenes;
    of a kind that is too rare for that, `least_share` of it is enough, and others fill up.

    In a town `egos` drive for `duration_s` among `vehicles`, in logs of `drive_s`. `towns` is the most that may be
    built. A smaller edition names the split that it is `part_of`: its scenes are of the same towns, under the same
    tokens. `opendrive` is a map whose roads every town has instead of roads of its own. The cameras' pictures are of
    `picture_size`, width and height in px; the logs' intrinsics tell it.
    """

    name: str
    seed: int
    scenes: int
    rules: WindowRules
    min_logs: int = 1
    events: Shares = ((NO_EVENT, 1.0),)
    weather: Shares = (("clear", 0.7), ("overcast", 0.3))
    balance: bool = False
    least_share: float = 1.0
    egos: int = 8
    vehicles: int = 100
    duration_s: float = 66.0
    drive_s: float = 30.0
    towns: int = 96
    opendrive: str = ""
    part_of: str = ""
    picture_size: Tuple[int, int] = DEFAULT_SIZE

    @property
    def family(self) -> str:
        """The split whose towns these are: itself, or the one that it is part of."""
        return self.part_of or self.name

    @property
    def folder(self) -> str:
        """Name of its folder; pictures of another size than the published ones go into another."""
        return self.name if self.picture_size == DEFAULT_SIZE else f"{self.name}_{format_size(self.picture_size)}"

    @property
    def rare_kinds(self) -> Tuple[str, ...]:
        """Kinds that a balanced split counts: events, and the weather that is rare."""
        names = [name for name, share in (*self.events, *self.weather) if share > 0.0]
        return tuple(name for name in names if name in (*ALL_EVENTS, *RARE_WEATHER))


def _share(kinds: Tuple[str, ...], total: float) -> Shares:
    weights = {kind: TRIED_FIRST.get(kind, 1.0) for kind in kinds}
    every = sum(weights.values())
    return ((NO_EVENT, 1.0 - total), *((kind, total * weight / every) for kind, weight in weights.items()))


# What is learnt on few towns is those towns. Windows a second apart share the pictures of latent actions' transitions.
_LEARNT = WindowRules(min_gap=2)
_LEARNT_EGOS, _LEARNT_TOWNS = 2, 240
_EVALUATED = WindowRules(per_log=4, min_gap=4, max_stop=0.55)
_MIXED_WEATHER: Shares = (("clear", 0.4), ("overcast", 0.2), ("rain", 0.2), ("night", 0.2))
_RARE_WEATHER: Shares = (("clear", 0.45), ("overcast", 0.2), ("rain", 0.12), ("night", 0.12), ("fog", 0.11))

SPLITS: Dict[str, SplitConfig] = {
    config.name: config
    for config in (
        SplitConfig(
            "minitown-train",
            seed=101,
            scenes=4000,
            rules=_LEARNT,
            events=_share(TRAINED_EVENTS, 0.1),
            weather=(("clear", 0.65), ("overcast", 0.3), ("rain", 0.05)),
            egos=_LEARNT_EGOS,
            towns=_LEARNT_TOWNS,
        ),
        SplitConfig(
            "minitown-unlabelled",
            seed=202,
            scenes=12000,
            rules=replace(_LEARNT, is_scored=False, events_first=False),  # no label has a say in what is learnt from
            events=_share(UNLABELLED_EVENTS, 0.4),
            weather=_MIXED_WEATHER,
            egos=_LEARNT_EGOS,
            towns=_LEARNT_TOWNS,
        ),
        SplitConfig("minitown-dev", seed=303, scenes=200, rules=_EVALUATED, min_logs=50),
        SplitConfig(
            "minitown-longtail-dev",
            seed=404,
            scenes=180,
            rules=_EVALUATED,
            min_logs=45,
            events=_share(UNLABELLED_EVENTS, 1.0),
            weather=_MIXED_WEATHER,
            balance=True,
            least_share=0.5,
            vehicles=50,
            duration_s=126.0,
            towns=240,
        ),
        SplitConfig("minitown-val", seed=505, scenes=320, rules=_EVALUATED, min_logs=80),
        SplitConfig(
            "minitown-longtail",
            seed=606,
            scenes=600,
            rules=_EVALUATED,
            min_logs=150,
            events=_share(ALL_EVENTS, 1.0),
            weather=_RARE_WEATHER,
            balance=True,
            least_share=0.5,
            vehicles=50,
            duration_s=126.0,
            towns=240,
        ),
    )
}


def find_split_config(name: str) -> SplitConfig:
    """The config of that name, such as `minitown-val`, or `minitown-val-50` for an edition of 50 scenes.

    Raises `ConfigError` with a suggestion for an unknown one.
    """
    if name in SPLITS:
        return SPLITS[name]
    family, _, number = name.rpartition("-")
    if family in SPLITS and number.isdecimal():
        return make_edition(SPLITS[family], int(number))
    raise ConfigError(f"no split {name!r} of the embedded world, there are: {', '.join(SPLITS)}{suggest(name, SPLITS)}")


def make_edition(config: SplitConfig, scenes: int) -> SplitConfig:
    """The config of the first `scenes` scenes of a split, which has a name of its own: scores on it are other scores.

    Raises `ConfigError` for more scenes than the split has.
    """
    if scenes == config.scenes:
        return config
    if not 1 <= scenes < config.scenes:
        raise ConfigError(f"split {config.name}: expected 1 to {config.scenes} scenes, got {scenes}")
    return replace(
        config,
        name=f"{config.name}-{scenes}",
        scenes=scenes,
        min_logs=math.ceil(config.min_logs * scenes / config.scenes),
        part_of=config.family,
    )


def format_size(size: Tuple[int, int]) -> str:
    """A picture's size as `parse_size` takes it."""
    return f"{size[0]}x{size[1]}"


def parse_size(text: str) -> Tuple[int, int]:
    """Width and height [px] from a text such as 1920x1080; raises `ConfigError` for anything else."""
    width, _, height = text.partition("x")
    low, high = SIZE_LIMITS
    if all(side.isdecimal() and low <= int(side) <= high for side in (width, height)):
        return (int(width), int(height))
    raise ConfigError(f"--size: expected WIDTHxHEIGHT of {low} to {high} px, such as 1920x1080, got {text!r}")
