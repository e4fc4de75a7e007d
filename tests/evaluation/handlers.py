"""Handlers that misbehave, importable in the worker processes that they run in."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentvla_agent.errors import DataError


class EchoHandler:
    """Does what an item says: a number comes back doubled, a word is a way to fail."""

    def __call__(self, item: Any) -> Any:
        """Double a number, or fail."""
        if item == "raise":
            raise DataError("first line\nsecond line")
        if item == "hang":
            time.sleep(3600.0)
        if item == "exit":
            os._exit(7)
        if item == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "slow":
            time.sleep(0.3)
            return "slow"
        if item == "threads":
            return os.environ.get("OMP_NUM_THREADS", "-")
        return 2 * item


@dataclass(frozen=True)
class DieOnce:
    """Kills its process at the first call that sees no marker file."""

    marker: Path

    def __call__(self, item: Any) -> Any:
        """The item and the process that handled it."""
        if not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item, os.getpid()


@dataclass(frozen=True)
class DieOnceFactory:
    """Makes a `DieOnce`."""

    marker: Path

    def __call__(self) -> DieOnce:
        """The handler."""
        return DieOnce(self.marker)


@dataclass(frozen=True)
class DieAtStartFactory:
    """Kills the first workers while they start."""

    folder: Path
    times: int

    def __call__(self) -> EchoHandler:
        """The handler, once enough workers died."""
        deaths = len(list(self.folder.glob("death-*")))
        if deaths < self.times:
            (self.folder / f"death-{deaths}").touch()
            os._exit(9)
        return EchoHandler()


def broken_factory() -> Any:
    """A handler whose weights are missing."""
    raise FileNotFoundError("weights.safetensors is missing")


@dataclass(frozen=True)
class DieAfterAnswer:
    """Dies as soon as its first answer is on the way, with more items queued for its worker."""

    marker: Path

    def __call__(self, item: Any) -> Any:
        """The item; the process ends 50 ms later, the first time."""
        if not self.marker.exists():
            self.marker.touch()
            signal.signal(signal.SIGALRM, lambda *_: os._exit(3))
            signal.setitimer(signal.ITIMER_REAL, 0.05)
        return item


@dataclass(frozen=True)
class DieAfterAnswerFactory:
    """Makes a `DieAfterAnswer`."""

    marker: Path

    def __call__(self) -> DieAfterAnswer:
        """The handler."""
        return DieAfterAnswer(self.marker)
