"""Codes of scenes on disk, as `latentvla train latent-actions` leaves them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Sequence

import numpy as np
import torch

from latentvla_agent.data.files import write_atomically
from latentvla_agent.errors import DataError


def write_codes(path: Path, tokens: Sequence[str], codes: torch.Tensor) -> None:
    """`tokens` (scenes,) and `codes` (scenes, slots) as arrays of an npz file."""
    content = io.BytesIO()
    np.savez_compressed(content, tokens=np.array(tokens), codes=codes.to(torch.uint8).numpy())
    write_atomically(path, content.getvalue())


def read_codes(path: Path, tokens: Sequence[str]) -> torch.Tensor:
    """Codes (scenes, slots) int64 of these scenes; raises `DataError` where the file is none, or lacks one of them."""
    try:
        with np.load(path, allow_pickle=False) as file:
            known, codes = file["tokens"].tolist(), file["codes"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path}: expected codes of latent actions ({error}); see latentvla train latent-actions"
        ) from error
    if codes.ndim != 2 or len(codes) != len(known):
        raise DataError(f"{path}: expected codes (scenes, slots), got {codes.shape} of {len(known)} scenes")
    rows = {token: row for row, token in enumerate(known)}
    missing = [token for token in tokens if token not in rows]
    if missing:
        raise DataError(f"{path}: no codes of {len(missing)} of {len(tokens)} scenes, the first {missing[0]}")
    return torch.from_numpy(codes[[rows[token] for token in tokens]].astype(np.int64))
