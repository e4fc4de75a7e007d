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
    """How many of the scenes these towns give, each kind at most its share."""
    if not config.balance:
        return min(config.scenes, len(_take(towns)))
    quota = _find_quota(config)
    return min(config.scenes, sum(min(count, quota) for count in _count_offers(config, towns).values()))


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
    """As many windows as the split has scenes, equally many of each kind; empty where a kind has too few.

    A kind may have as little as `least_share` of its share; then the others make up for it, all alike.
    """
    quota, offers = _find_quota(config), _count_offers(config, towns)
    if min(offers.values()) < config.least_share * quota or sum(offers.values()) < config.scenes:
        return []
    level = quota
    while sum(min(count, level) for count in offers.values()) < config.scenes:
        level += 1
    left = {kind: min(count, level) for kind, count in offers.items()}
    surplus = sum(left.values()) - config.scenes
    for kind in [kind for kind, count in left.items() if count == level][::-1][:surplus]:
        left[kind] -= 1
    chosen = []
    for window in _take(towns):
        kind = find_kind(window)
        if left.get(kind, 0) > 0:
            left[kind] -= 1
            chosen.append(window)
    return chosen


def _find_quota(config: SplitConfig) -> int:
    return math.ceil(config.scenes / len(config.rare_kinds))


def _count_offers(config: SplitConfig, towns: Towns) -> Dict[str, int]:
    counts = Counter(find_kind(window) for window in _take(towns))
    return {kind: counts[kind] for kind in config.rare_kinds}


def find_kind(window: Window) -> str:
    """The kind that a window stands for in a balanced split: its event, else its weather; empty for neither."""
    events = [kind for kind in window.kinds if kind not in RARE_WEATHER]
    return next(iter([*events, *window.kinds]), "")


def _count_logs(windows: Sequence[Window]) -> int:
    return len({window.log for window in windows})
