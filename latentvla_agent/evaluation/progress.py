"""Progress of a stage: a bar with rate, time left and failures on a terminal, one closing line elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Optional, Type

from tqdm import tqdm


class StageProgress:
    """Counts scenes of one stage; `finished` of them, `failed` of these in vain, were done in an earlier run."""

    def __init__(self, name: str, total: int, finished: int = 0, failed: int = 0):
        self._name, self._finished, self._failed, self._done = name, finished, failed, 0
        self._start = time.monotonic()
        self._bar = tqdm(
            total=total, initial=finished, desc=name, unit="scene", file=sys.stderr, disable=not sys.stderr.isatty()
        )

    def advance(self, failed: bool, count: int = 1) -> None:
        """One more scene, or `count` of them."""
        self._done += count
        self._failed += failed
        self._bar.set_postfix(failed=self._failed, refresh=False)
        self._bar.update(count)

    def __enter__(self) -> StageProgress:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._bar.close()
        if error is None:
            print(self._describe(time.monotonic() - self._start), file=sys.stderr)

    def _describe(self, seconds: float) -> str:
        failures = f", {self._failed} failed" if self._failed else ""
        if self._done == 0 and self._finished:
            return f"{self._name}: all {self._finished} from the journal{failures}"
        rate = f" ({self._done / seconds:.1f} scenes/s)" if seconds > 0 else ""
        resumed = f", {self._finished} from the journal" if self._finished else ""
        return f"{self._name}: {self._done} in {seconds:.1f} s{rate}{resumed}{failures}"
