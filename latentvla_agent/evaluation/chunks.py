"""How the scenes of a run are dealt out to workers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List, Mapping, Sequence, Tuple

from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.evaluation.stages import ScoreItem

MIN_CHUNK, MAX_CHUNK = 4, 32  # scenes of one log that go to a worker together
CHUNKS_PER_WORKER = 8  # at least, where there are enough scenes: so that no worker is left alone with a long last one
GROUP = 8  # scenes whose plans the devkit simulates in one pass

Predictions = Mapping[Tuple[str, str], Any]  # by agent and token


def chunk_refs(refs: Sequence[SceneRef], workers: int) -> List[List[SceneRef]]:
    """Neighbouring scenes of one log, so that a worker rarely reads a log again."""
    size = min(MAX_CHUNK, max(MIN_CHUNK, len(refs) // (CHUNKS_PER_WORKER * workers)))
    chunks: List[List[SceneRef]] = []
    for ref in refs:
        if not chunks or chunks[-1][0].log_path != ref.log_path or len(chunks[-1]) >= size:
            chunks.append([])
        chunks[-1].append(ref)
    return chunks


def look_ahead(chunk: Sequence[Any], size: int = GROUP) -> List[Any]:
    """The items of a chunk, the first of every group of `size` with the others of that group as its `ahead`."""
    return [
        replace(item, ahead=tuple(chunk[i + 1 : i + size])) if i % size == 0 else item for i, item in enumerate(chunk)
    ]


class ItemMaker:
    """Puts together what there is to score in a scene: the predictions of all agents, here and in the scene before,
    where there is one."""

    def __init__(self, refs: Sequence[SceneRef], agents: Sequence[str], predictions: Predictions, with_previous: bool):
        self._known = {ref.token: ref for ref in refs} if with_previous else {}
        self._agents, self._predictions = agents, predictions

    def make(self, ref: SceneRef) -> ScoreItem:
        """The item of a scene."""
        own = tuple(self._predictions[(agent, ref.token)] for agent in self._agents)
        previous = self._known.get(ref.previous or "")
        if previous is None:
            return ScoreItem(ref, own)
        return ScoreItem(
            ref, own, previous, tuple(self._predictions[(agent, previous.token)] for agent in self._agents)
        )
