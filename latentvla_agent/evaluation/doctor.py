"""The doctor: what of this machine, this environment and these data would stop a run or bend its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from latentvla_agent.errors import LatentVLAError


class Status(Enum):
    """How bad a finding is; a warning lets a run go on."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor; `mend` says what to do about it."""

    status: Status
    check: str
    message: str
    mend: str = ""

    def __str__(self) -> str:
        text = f"{self.status.value:<8} {self.check}: {self.message}"
        return " ".join((f"{text} -> {self.mend}" if self.mend else text).splitlines())


@dataclass(frozen=True)
class Patient:
    """What the doctor looks at: the options of an evaluation. `cache` is the folder that holds metric caches."""

    data: Optional[Path] = None
    maps: Optional[Path] = None
    split: Optional[str] = None
    cache: Optional[Path] = None
    synthetic_scenes: Optional[Path] = None


Check = Callable[[Patient], Sequence[Finding]]


def examine(patient: Patient) -> Iterator[Finding]:
    """Findings, in the order of the checks; a check that breaks is a fault of its own and stops no other."""
    for name, check in list_checks():
        try:
            yield from check(patient)
        except LatentVLAError as error:
            yield Finding(Status.FAULT, name, str(error))
        except Exception as error:  # a broken environment can raise anything
            yield Finding(Status.FAULT, name, f"the check broke: {type(error).__name__}: {error}")


def list_checks() -> List[Tuple[str, Check]]:
    """All checks by name."""
    from latentvla_agent.evaluation import doctor_data, doctor_devkit, doctor_numerics  # they need `Finding`

    return [
        ("python", lambda _: doctor_numerics.check_python()),
        ("packages", lambda _: doctor_numerics.check_packages()),
        ("numpy", lambda _: doctor_numerics.check_numpy_version()),
        ("matrix product", lambda _: doctor_numerics.check_products()),
        ("profile fit", lambda _: doctor_numerics.check_profile_fit()),
        ("kernels", lambda _: doctor_numerics.check_kernels()),
        ("reference cases", lambda _: doctor_numerics.check_reference_cases()),
        ("devkit", lambda _: doctor_devkit.check_devkit()),
        ("data", doctor_data.check_roots),
        ("maps", doctor_data.check_maps),
        ("split", doctor_data.check_split),
    ]


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Whether there is no fault."""
    return all(finding.status is not Status.FAULT for finding in findings)
