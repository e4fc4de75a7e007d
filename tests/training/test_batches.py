"""Which scenes are in which batch."""

from __future__ import annotations

from typing import List

from latentvla_agent.training.batches import EpochBatches


def list_batches(epoch: int, rank: int = 0, world: int = 1, seed: int = 0) -> List[List[int]]:
    """Batches of four out of 22 scenes."""
    batches = EpochBatches(22, 4, seed, share=lambda: (rank, world))
    batches.set_epoch(epoch)
    found = list(batches)
    assert len(found) == len(batches)
    return found


def test_an_epoch_is_the_same_again_and_the_next_is_not() -> None:
    assert list_batches(3) == list_batches(3) != list_batches(4)
    assert list_batches(3) != list_batches(3, seed=1)
    scenes = sorted(sum(list_batches(3), []))
    assert len(scenes) == len(set(scenes)) == 20, "only whole batches"


def test_processes_share_the_batches() -> None:
    both = [list_batches(2, rank, 2) for rank in (0, 1)]
    assert [len(own) for own in both] == [2, 2]
    assert [both[0][0], both[1][0], both[0][1], both[1][1]] == list_batches(2)[:4]


def test_the_dev_split_is_whole_and_in_order() -> None:
    assert sum(EpochBatches(22, 4, shuffle=False), []) == list(range(22))
