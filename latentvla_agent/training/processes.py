"""Several processes that train together: which one this is, and what the first one does alone."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import timedelta
from typing import Iterator, Tuple

import torch

# For how long the others wait while the first one works alone: the trial motions of all scenes of trainval take hours,
# and torch gives up after ten or thirty minutes. A process that dies is noticed by the launcher, not by this.
PATIENCE = timedelta(hours=12)


def are_together() -> bool:
    """Whether other processes train along. Lightning starts them late, in the first training."""
    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())


def find_share() -> Tuple[int, int]:
    """Number of this process and how many train together."""
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if are_together() else (0, 1)


@contextmanager
def first_alone() -> Iterator[bool]:
    """The first process goes ahead, the others follow when it is done and find what it left; gives whether this is the
    first. Every process must come by."""
    is_first = find_share()[0] == 0
    if not is_first:
        torch.distributed.barrier()
    try:
        yield is_first
    finally:
        # After a mistake, too: the others would wait for `PATIENCE`, where now they miss what they look for.
        is_interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)  # as the others are: nobody comes
        if is_first and are_together() and not is_interrupted:
            torch.distributed.barrier()
