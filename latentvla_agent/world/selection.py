"""Which of the windows that towns offer become the scenes of a split."""

from __future__ import annotations

import math
from collections import Counter
from typing import Dict, List, Optional, Sequence

from latentvla_agent.world.splits import RARE_WEATHER, SplitConfig
from latentvla_agent.world.windows import Window

Towns = Sequence[Sequence[Window]]


def choose_scenes(config: SplitConfig, towns: Towns) -> Optional[List[Window]]:
    """The scenes of a split from its first towns, in their order; None where these towns don't offer enough.

    More towns never change a choice that fewer towns allow: how far ahead they were built makes no difference.
    """
    for count in range(1, len(towns) + 1):
        chosen = _choose_balanced(config, towns[:count]) if config.balance else _take(towns[:count])
        if len(chosen) >= config.scenes and _count_logs(chosen) >= config.min_logs:
            return chosen if config.balance else _cut(config, chosen)
    return None


def count_chosen(config: SplitConfig, towns: Towns) -> int:
    """How many of the scenes these towns give."""
    return min(config.scenes, len(_choose_balanced(config, towns) if config.balance else _take(towns)))


def count_kinds(config: SplitConfig, towns: Towns) -> Dict[str, int]:
    """Windows that the towns offer of each rare kind."""
    counts = Counter(kind for windows in towns for window in windows for kind in window.kinds)
    return {kind: counts[kind] for kind in config.rare_kinds}


def _take(towns: Towns) -> List[Window]:
    return [window for windows in towns for window in windows]


def _cut(config: SplitConfig, windows: List[Window]) -> List[Window]:
    """The shortest beginning that has enough scenes of enough logs."""
    for end in range(config.scenes, len(windows)):
        if _count_logs(windows[:end]) >= config.min_logs:
            return windows[:end]
    return windows


def _choose_balanced(config: SplitConfig, towns: Towns) -> List[Window]:
    """Windows of rare kinds, each kind up to its quota; a window counts for the rarest thing in it."""
    kinds = config.rare_kinds
    quota = math.ceil(config.scenes / len(kinds))
    counts: Counter[str] = Counter()
    chosen = []
    for window in _take(towns):
        kind = find_kind(window)
        if kind in kinds and counts[kind] < quota:
            counts[kind] += 1
            chosen.append(window)
    return chosen


def find_kind(window: Window) -> str:
    """The kind that a window stands for in a balanced split: its event, else its weather; empty for neither."""
    events = [kind for kind in window.kinds if kind not in RARE_WEATHER]
    return next(iter([*events, *window.kinds]), "")


def _count_logs(windows: Sequence[Window]) -> int:
    return len({window.log for window in windows})
