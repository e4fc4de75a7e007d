"""What agents weighed, kept beside the plans of a run for `latentvla show`: an optional file, `details.journal`.

Every line is `{"token", "agent", "details"}`; every plan has one, with empty details where an agent tells none.
An agent tells its details through `plan_details(position)`, a mapping with some of: `proposals` (N x T x 3, metres and
radians in the ego frame), `proposal_scores` (N, 0 to 1), `codes` (latent actions in the order of time), `code_shares`
(their probabilities), `transitions` (over how many the codes are spread).
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.journal import Journal, read_lines

DETAILS = "details.journal"
POSE_SIZE = 3

Details = Dict[str, Any]


def ask_details(agent: Any, *plan: int) -> Details:
    """Details of the last plan, or of the one at a position of the last pass; empty for an agent that tells none."""
    tell = getattr(agent, "plan_details", None)
    return dict(tell(*plan)) if callable(tell) else {}


@contextmanager
def open_details(folder: Path, identity: Mapping[str, Any], is_kept: bool) -> Iterator[Optional[Journal]]:
    """The journal of details of a run, or None where nobody asked for it."""
    if not is_kept:
        yield None
        return
    with Journal(folder / DETAILS, identity) as journal:
        yield journal


def keep_details(journal: Optional[Journal], token: str, prediction: Dict[str, Any]) -> None:
    """Take the details out of a prediction and into their journal: empty ones too, which say that it was asked."""
    details = prediction.pop("details", {})
    if journal is not None and "error" not in prediction:
        journal.append({"token": token, "agent": prediction["agent"], "details": details})


def read_details(folder: Path) -> Dict[Tuple[str, str], Details]:
    """Details by (agent, token), checked, of plans that have any; raises `DataError` for another file."""
    path = folder / DETAILS
    if not path.exists():
        return {}
    try:
        entries = read_lines(path).entries[1:]
        found = {(entry["agent"], entry["token"]): check_details(entry["details"]) for entry in entries}
        return {key: details for key, details in found.items() if details}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a journal of details ({type(error).__name__}: {error})") from error


def check_details(details: Mapping[str, Any]) -> Details:
    """The details; raises `ValueError` or `TypeError` where something in them is not what this module says."""
    checked: Details = {}
    if "proposals" in details:
        checked["proposals"] = [[_numbers(pose, POSE_SIZE) for pose in one] for one in details["proposals"]]
        checked["proposal_scores"] = _numbers(details["proposal_scores"], len(checked["proposals"]))
    if "codes" in details:
        checked["codes"] = [int(code) for code in details["codes"]]
        checked["code_shares"] = _numbers(details["code_shares"], len(checked["codes"]))
        checked["transitions"] = int(details["transitions"])
        if checked["transitions"] < 1 or len(checked["codes"]) % checked["transitions"]:
            raise ValueError(
                f"{len(checked['codes'])} codes cannot be spread over {checked['transitions']} transitions"
            )
    return checked


def _numbers(values: Any, count: int) -> Any:
    numbers = [float(value) for value in values]
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ValueError(f"expected {count} finite numbers, got {len(numbers)}")
    return numbers
