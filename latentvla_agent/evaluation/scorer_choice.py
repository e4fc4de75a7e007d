"""Who scores a run: the devkit where it runs and there is data for it, else the embedded scorer. Never in silence."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from latentvla_agent.data.roots import DataRoots
from latentvla_agent.errors import ConfigError, DataError, LatentVLAError
from latentvla_agent.evaluation.devkit_process import complete_maps
from latentvla_agent.evaluation.devkits import Devkit, name_command, start_devkit
from latentvla_agent.scoring.versions import Metric, find_metric

SCORERS = ("auto", "embedded", "official")
DEFAULT_METRIC = "pdms-v1.1"


@dataclass(frozen=True)
class ScorerRequest:
    """What the user said; None is what was left open."""

    scorer: str = "auto"
    metric: Optional[str] = None
    devkit_python: Optional[Path] = None
    devkit_root: Optional[Path] = None
    nuplan_root: Optional[Path] = None


@dataclass(frozen=True)
class ScorerChoice:
    """The metric, and the devkit that computes it; None for the embedded scorer."""

    metric: Metric
    devkit: Optional[Devkit] = None

    @property
    def has_two_stages(self) -> bool:
        """Whether it can score the second stage of NAVSIM v2.2's two-stage splits."""
        return self.devkit is not None and self.metric.rules.generation == 2


def choose_scorer(request: ScorerRequest, roots: DataRoots) -> ScorerChoice:
    """Decide, and say on stderr what was decided and why.

    `official` raises `ConfigError` where the devkit can't do it; `auto` then takes the embedded scorer.
    """
    if request.scorer not in SCORERS:
        raise ConfigError(f"unknown scorer {request.scorer!r}; there are: {', '.join(SCORERS)}")
    metric = find_metric(request.metric or DEFAULT_METRIC)
    if request.scorer == "embedded":
        return _announce(ScorerChoice(metric), "as asked")
    if request.scorer == "auto" and roots.is_embedded:
        return _announce(ScorerChoice(metric), "the data is the embedded one")
    try:
        devkit = find_devkit(request, roots)
    except LatentVLAError as error:
        if request.scorer == "official":
            raise
        return _announce(ScorerChoice(metric), str(error))
    facts = devkit.facts
    reason = f"NAVSIM v{facts['generation']}, Python {facts['python']}, numpy {facts['numpy']}"
    return _announce(ScorerChoice(find_metric(devkit.metric), devkit), reason)


def find_devkit(request: ScorerRequest, roots: DataRoots) -> Devkit:
    """The devkit, started once; raises `ConfigError` where there is none, it does not run or has another metric."""
    command = name_command(request.devkit_python, request.devkit_root, request.nuplan_root)
    if command is None:
        raise ConfigError("no NAVSIM devkit is installed here or named (--devkit-python, --devkit-root)")
    with tempfile.TemporaryDirectory() as folder:
        try:
            devkit = start_devkit(command, complete_maps(roots, Path(folder) / "maps"), Path(folder) / "devkit.log")
        except DataError as error:
            raise ConfigError(
                f"the devkit does not run under {command.python}: {error}; name an interpreter that has what it needs "
                "(--devkit-python or NAVSIM_PYTHON), or take --scorer embedded"
            ) from error
    if request.metric not in (None, devkit.metric):
        raise ConfigError(
            f"the devkit in {command.root or command.python} scores {devkit.metric}, not {request.metric}"
        )
    return devkit


def _announce(choice: ScorerChoice, reason: str) -> ScorerChoice:
    name = "embedded" if choice.devkit is None else "official"
    print(f"scorer {name}, {choice.metric.name}: {' '.join(reason.split())}", file=sys.stderr)
    return choice
