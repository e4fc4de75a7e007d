"""The pickle that NAVSIM's leaderboards take, written and read back without the devkit.

It holds objects of the devkit's classes, by name: stand-ins of these names are pickled in their place. A file made
under numpy 2 loads under the leaderboards' numpy 1.
"""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Iterator, Mapping, Sequence, Tuple, Type

import numpy as np

from latentvla_agent.data.pickle_writer import PortablePickler
from latentvla_agent.data.pickles import Record, load_pickle, read_content
from latentvla_agent.data.scene import Trajectory, TrajectorySampling
from latentvla_agent.data.scene_loader import SceneIndex
from latentvla_agent.data.splits import Split
from latentvla_agent.errors import DataError, LatentVLAError
from latentvla_agent.evaluation.chunks import Predictions
from latentvla_agent.evaluation.folders import write_output
from latentvla_agent.evaluation.stages import read_prediction

STAGES = {1: ("predictions",), 2: ("first_stage_predictions", "second_stage_predictions")}
CLASSES = {
    "navsim.common.dataclasses": "Trajectory",
    "nuplan.planning.simulation.trajectory.trajectory_sampling": "TrajectorySampling",
}
_READ: Dict[Tuple[str, str], Type[Record]] = {
    (module, name): type(name, (Record,), {"__slots__": ()}) for module, name in CLASSES.items()
}

Plans = Mapping[str, Trajectory]  # by token


@dataclass(frozen=True)
class Team:
    """Who submits; the leaderboards ask for all of it."""

    name: str
    authors: str
    email: str
    institution: str
    country: str

    def describe(self) -> Dict[str, str]:
        """Under the leaderboards' keys."""
        return {
            "team_name": self.name,
            "authors": self.authors,
            "email": self.email,
            "institution": self.institution,
            "country / region": self.country,
        }


@dataclass(frozen=True)
class Submission:
    """A team and its plans, one mapping per stage: v1.1 has one stage, v2.2 two."""

    team: Team
    stages: Tuple[Plans, ...] = field(default_factory=tuple)


def check_scenes(split: Split, index: SceneIndex) -> None:
    """Raise `DataError` unless the data hold every scene of the split: the leaderboards score all of them.

    A split of one stage is none the worse for generation 2: the devkit's script, too, writes its second stage empty.
    """
    losses = [f"bad log {path}: {reason}" for path, reason in index.bad_logs[:1]]
    for kind, names in (("logs", index.missing_logs), ("scenes", index.missing_tokens)):
        losses += [f"{len(names)} {kind} are missing, e.g. {names[0]}"] if names else []
    if split.synthetic_folder is not None and not index.synthetic_refs:
        losses.append(f"no scene of the second stage is in {split.synthetic_folder}")
    if losses:
        raise DataError(
            f"{split.log_folder}: expected every scene of split {split.name}, as a submission needs it, got"
            f" {len(index.all_refs)} scenes: {'; '.join(losses)}"
        )


def collect_plans(tokens: Sequence[str], agent: str, predictions: Predictions) -> Dict[str, Trajectory]:
    """The agent's plans in these scenes, as float32; raises `DataError` where it failed in one of them."""
    failures = {
        token: predictions[(agent, token)]["error"] for token in tokens if "error" in predictions[(agent, token)]
    }
    if failures:
        token, reason = next(iter(failures.items()))
        raise DataError(f"{agent} failed in {len(failures)} of {len(tokens)} scenes, first {token}: {reason}")
    plans = {token: read_prediction(predictions[(agent, token)]) for token in tokens}
    return {token: Trajectory(poses.astype(np.float32), sampling) for token, (poses, sampling) in plans.items()}


def write_submission(submission: Submission, path: Path) -> None:
    """Write the file for the leaderboard of v1.1 (one stage) or v2.2 (two stages)."""
    content = io.BytesIO()
    with stand_in_classes() as (trajectory_class, sampling_class):
        stages = [
            [{token: _dress(plan, trajectory_class, sampling_class) for token, plan in plans.items()}]
            for plans in submission.stages
        ]
        keys = STAGES[len(submission.stages)]
        PortablePickler(content).dump({**submission.team.describe(), **dict(zip(keys, stages))})
    write_output(path, content.getvalue())


@contextmanager
def stand_in_classes() -> Iterator[Tuple[Type[Any], Type[Any]]]:
    """Empty classes under the names of the devkit's, importable within the block, as pickle demands."""
    classes = [type(name, (), {"__module__": module}) for module, name in CLASSES.items()]
    names = [".".join(module.split(".")[:i]) for module in CLASSES for i in range(1, module.count(".") + 2)]
    hidden = {name: sys.modules.get(name) for name in names}
    sys.modules.update({name: ModuleType(name) for name in names})
    for made in classes:
        setattr(sys.modules[made.__module__], made.__name__, made)
    try:
        yield classes[0], classes[1]
    finally:
        for name, module in hidden.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def _dress(plan: Trajectory, trajectory_class: Type[Any], sampling_class: Type[Any]) -> Any:
    trajectory, sampling = trajectory_class(), sampling_class()
    vars(sampling).update(
        time_horizon=plan.trajectory_sampling.time_horizon,
        num_poses=plan.trajectory_sampling.num_poses,
        interval_length=plan.trajectory_sampling.interval_length,
    )
    vars(trajectory).update(poses=plan.poses, trajectory_sampling=sampling)
    return trajectory


def read_submission(path: Path) -> Submission:
    """Read a file for either leaderboard; raises `DataError` naming the key or token that is wrong."""
    content = load_pickle(path, read_content(path), _READ)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a dict, got {type(content).__name__}")
    generation = 2 if STAGES[2][0] in content else 1
    expected = {*Team("", "", "", "", "").describe(), *STAGES[generation]}
    if set(content) != expected:
        wrong = ", ".join(sorted(map(str, expected ^ set(content))))
        raise DataError(f"{path}: keys that are missing or too many: {wrong}")
    team = Team(*(str(content[key]) for key in Team("", "", "", "", "").describe()))
    return Submission(team, tuple(_read_stage(path, key, content[key]) for key in STAGES[generation]))


def _read_stage(path: Path, key: str, seeds: Any) -> Dict[str, Trajectory]:
    if not isinstance(seeds, list) or len(seeds) != 1 or not isinstance(seeds[0], dict):
        raise DataError(f"{path}: {key}: expected a list of one dict, as several seeds are not taken")
    return {token: _read_plan(f"{path}: {key}: {token}", record) for token, record in seeds[0].items()}


def _read_plan(place: str, record: Any) -> Trajectory:
    try:
        poses, sampling = record.attribute("poses"), record.attribute("trajectory_sampling")
        if not isinstance(poses, np.ndarray):
            raise TypeError("expected an array")
        return Trajectory(
            poses, TrajectorySampling(sampling.attribute("num_poses"), sampling.attribute("interval_length"))
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, LatentVLAError) else f"not a trajectory ({type(error).__name__})"
        raise DataError(f"{place}: {reason}") from error


def check_submission(path: Path, expected: Submission) -> None:
    """Read the file as the leaderboard does; raises `DataError` unless it holds just what was meant to be in it."""
    found = read_submission(path)
    if found.team != expected.team or len(found.stages) != len(expected.stages):
        raise DataError(f"{path}: expected team {expected.team} and {len(expected.stages)} stages, got {found.team}")
    for plans, others in zip(expected.stages, found.stages):
        check_tokens(path, list(plans), list(others))
        for token, plan in plans.items():
            other = others[token]
            if not np.array_equal(plan.poses, other.poses) or plan.poses.dtype != other.poses.dtype:
                raise DataError(f"{path}: {token}: other poses than were planned")
            if plan.trajectory_sampling != other.trajectory_sampling:
                raise DataError(f"{path}: {token}: another sampling than was planned")


def check_tokens(path: Path, expected: Sequence[str], found: Sequence[str]) -> None:
    """Raise `DataError` where scenes are missing or too many."""
    missing, surplus = set(expected) - set(found), set(found) - set(expected)
    if missing or surplus:
        example = sorted(missing or surplus)[0]
        raise DataError(f"{path}: {len(missing)} scenes are missing and {len(surplus)} too many, e.g. {example}")
