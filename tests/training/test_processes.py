"""Who goes ahead, and who waits."""

from __future__ import annotations

from typing import List

import pytest
import torch

from latentvla_agent.training import processes
from latentvla_agent.training.processes import find_share, first_alone


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """What happened in one of two processes; `share` sets which."""
    seen: List[str] = []
    monkeypatch.setattr(processes, "are_together", lambda: True)
    monkeypatch.setattr(torch.distributed, "barrier", lambda: seen.append("meet"))
    return seen


def share(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "find_share", lambda: (rank, 2))


def test_the_first_goes_ahead(events: List[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, expected in ((0, ["work", "meet"]), (1, ["meet", "work"])):
        share(rank, monkeypatch)
        with first_alone() as is_first:
            events.append("work")
        assert events == expected and is_first == (rank == 0)
        events.clear()


def test_nobody_waits_for_a_first_one_that_failed(events: List[str], monkeypatch: pytest.MonkeyPatch) -> None:
    share(0, monkeypatch)
    with pytest.raises(OSError), first_alone():
        raise OSError("disk full")
    assert events == ["meet"]
    with pytest.raises(KeyboardInterrupt), first_alone():
        raise KeyboardInterrupt
    assert events == ["meet"], "Ctrl-C reaches all of them: to wait for the others would be for ever"


def test_alone_there_is_nobody_to_wait_for() -> None:
    with first_alone() as is_first:
        assert is_first and find_share() == (0, 1)
