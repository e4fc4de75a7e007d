"""A split of any size for scale tests by hand: existing logs, repeated under new tokens.

    python -m tests.evaluation.scale --data ../shared/data/real/dev --split dev --scenes 12146 --out /tmp/scale
    latentvla eval --data /tmp/scale --maps ../shared/data/real/dev/maps --split scale --max-scenes 12146 \
        --agent constant_velocity --out /tmp/scale/run --cache /tmp/scale/cache
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
from pathlib import Path
from typing import Any, Dict, List

from latentvla_agent.data.logs import list_logs, read_log

WINDOW = 14  # frames of a scene


def repeat_logs(source: Path, target: Path, scenes: int) -> int:
    """Write copies of the logs of `source` into `target` until they hold `scenes` windows; returns how many."""
    target.mkdir(parents=True)
    logs = {path.stem: read_log(path) for path in list_logs(source)}
    total, copy = 0, 0
    while total < scenes:
        for name, frames in logs.items():
            rename_log(frames, f"{name}-{copy:03d}", target)
            total += max(0, len(frames) - WINDOW + 1)
        copy += 1
    return total


def rename_log(frames: List[Dict[str, Any]], name: str, target: Path) -> None:
    """One copy of a log: everything as it is, under another name and other tokens."""
    renamed = [
        {**frame, "log_name": name, "token": hashlib.md5(f"{name}{frame['token']}".encode()).hexdigest()[:16]}
        for frame in frames
    ]
    (target / f"{name}.pkl").write_bytes(pickle.dumps(renamed))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", required=True)
    parser.add_argument("--scenes", type=int, default=12146)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    source, target = options.data / "navsim_logs" / options.split, options.out / "navsim_logs" / "scale"
    print(f"{repeat_logs(source, target, options.scenes)} scenes in {target}")


if __name__ == "__main__":
    main()
