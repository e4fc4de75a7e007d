"""Writes logs in OpenScene's format: what `logs.read_log` and the devkit read, the same bytes for the same frames."""

from __future__ import annotations

from pathlib import Path
from typing import List

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.logs import LogFrame, check_frames
from latentvla_agent.data.pickle_writer import dump_pickle
from latentvla_agent.errors import DataError


def write_log(path: Path, frames: List[LogFrame], durable: bool = True) -> None:
    """Write the frames of one log, in time order, with the keys and shapes of docs/navsim-facts; or nothing at all.

    Further keys may hold plain containers, numbers, texts and arrays. Equal arrays, such as the cameras' matrices in
    every frame, are stored once. Raises `DataError` naming frame, key, expected and got. `durable`: as in
    `write_atomically`.
    """
    check_frames(path, frames)
    try:
        content = dump_pickle(frames)
    except DataError as error:
        raise DataError(f"{path}: frame {error}") from error
    write_atomically(path, content, durable)
