"""Errors that a user can mend: the command line prints their message as one line, without a traceback."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Iterable


class LatentVLAError(ValueError):
    """Base of every error that is the user's to mend. The message names the file, what was expected and what came."""


class DataError(LatentVLAError):
    """A log, a map, a split or another input file is missing, broken or not what its format says."""


class UnsafePickleError(DataError):
    """A pickle asks for a name outside the allow-list; nothing of it was executed."""


class ConfigError(LatentVLAError):
    """A configuration holds an unknown or ill-typed entry."""


class TrajectoryError(LatentVLAError):
    """A trajectory is not finite, or not of the shape that its sampling says."""


class CheckpointError(LatentVLAError):
    """A file of weights is missing, broken, not the one that was published, or made for another model."""


def suggest(name: str, known: Iterable[str]) -> str:
    """What to append to a message about an unknown name: the known one that was probably meant, or nothing."""
    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
