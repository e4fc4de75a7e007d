"""How scenes are dealt out, and which are named ahead."""

from __future__ import annotations

from pathlib import Path

from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.evaluation.chunks import chunk_refs, look_ahead
from latentvla_agent.evaluation.stages import ScoreItem


def make_ref(log: str, i: int) -> SceneRef:
    """The i-th scene of a log."""
    return SceneRef(Path(log), log, i, f"{log}-{i}", "", None)


def test_chunks_hold_one_log_and_keep_the_order() -> None:
    refs = [make_ref(log, i) for log in "ab" for i in range(40)]
    chunks = chunk_refs(refs, 2)
    assert [ref for chunk in chunks for ref in chunk] == refs
    assert all(len({ref.log_name for ref in chunk}) == 1 for chunk in chunks)


def test_the_first_of_each_group_names_the_others() -> None:
    items = [ScoreItem(make_ref("a", i)) for i in range(7)]
    linked = look_ahead(items, 3)
    assert [item.ref for item in linked] == [item.ref for item in items]
    assert [[other.ref.start for other in item.ahead] for item in linked] == [[1, 2], [], [], [4, 5], [], [], []]


def test_groups_of_one_name_nobody() -> None:
    assert all(item.ahead == () for item in look_ahead([ScoreItem(make_ref("a", i)) for i in range(3)], 1))
