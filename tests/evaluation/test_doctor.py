"""The doctor finds what is wrong with a machine, a devkit or data, and says how to mend it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest
import yaml

from latentvla_agent.data.roots import EMBEDDED_FOLDER
from latentvla_agent.evaluation import doctor_numerics
from latentvla_agent.evaluation.doctor import Finding, Patient, Status, examine, is_healthy
from latentvla_agent.evaluation.doctor_data import check_maps, check_roots, check_split
from latentvla_agent.evaluation.doctor_devkit import check_devkit, inspect_package
from tests.evaluation.commands import EMBEDDED_LOGS, call

XEON = "vendor_id : GenuineIntel\nmodel name : Intel(R) Xeon(R) Platinum 8480C\nflags : fpu avx512_bf16 amx_tile\n"


def only(findings: Any) -> Finding:
    """The one finding."""
    (finding,) = findings
    assert isinstance(finding, Finding)
    return finding


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of the embedded data with NAVSIM's folder names."""
    shutil.copytree(EMBEDDED_FOLDER / "maps", tmp_path / "maps")
    shutil.copytree(EMBEDDED_LOGS, tmp_path / "navsim_logs" / "test")
    return tmp_path


def write_split(folder: Path, **content: Any) -> str:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"data_split": "test", "frame_interval": 1, **content}))
    return str(path)


def test_a_healthy_machine() -> None:
    findings = list(examine(Patient(split="embedded")))
    assert is_healthy(findings), "\n".join(map(str, findings))
    checks = {finding.check for finding in findings}
    assert checks >= {"numpy", "matrix product", "profile fit", "kernels", "reference cases", "data", "maps", "split"}
    assert all("\n" not in str(finding) for finding in findings)


def test_the_command_prints_a_line_per_check(tmp_path: Path) -> None:
    answer = call("doctor", "--cache", tmp_path)
    assert answer.status == 0, answer.out
    assert {line.split()[0] for line in answer.out.splitlines()} <= {"ok", "warning"}


def test_the_command_fails_with_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentvla_agent.evaluation.doctor_numerics.check_profile_fit", lambda: 1 / 0)
    answer = call("doctor", "--data", tmp_path / "nowhere")
    assert answer.status == 1
    faults = [line for line in answer.out.splitlines() if line.startswith("fault")]
    assert len(faults) == 2 and "the check broke: ZeroDivisionError" in faults[0] and "-> name the data" in faults[1]


@pytest.mark.parametrize(
    "version, processor, status",
    [
        ("1.23.4", XEON, Status.FAULT),
        ("1.23.5", XEON.replace("avx512_bf16", "avx512f"), Status.WARNING),
        ("1.23.4", XEON.replace("GenuineIntel", "AuthenticAMD"), Status.WARNING),
        ("1.26.4", XEON, Status.OK),
        ("2.1.0", "", Status.OK),
    ],
)
def test_numpy_with_the_known_fault(
    version: str, processor: str, status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(processor)
    monkeypatch.setattr(np, "__version__", version)
    monkeypatch.setattr(doctor_numerics, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    finding = only(doctor_numerics.check_numpy_version())
    assert finding.status is status
    assert status is Status.OK or ("24903" in finding.message and "OPENBLAS_CORETYPE" in finding.mend)


@pytest.mark.parametrize("broken", ["inv", "pinv"])
def test_wrong_linear_algebra_is_found(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(np.linalg, broken)
    monkeypatch.setattr(np.linalg, broken, lambda matrix: right(matrix) * (1.0 + 1e-4 * (np.arange(40) > 36)))
    check = {"inv": doctor_numerics.check_products, "pinv": doctor_numerics.check_profile_fit}[broken]
    finding = only(check())
    assert finding.status is Status.FAULT and "24903" in finding.message


def test_wrong_products_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = np.einsum
    monkeypatch.setattr(np, "einsum", lambda *arguments: right(*arguments) * np.nan)
    assert only(doctor_numerics.check_products()).status is Status.FAULT
    assert only(doctor_numerics.check_profile_fit()).status is Status.FAULT


def test_reference_cases_are_varied_and_small() -> None:
    content = doctor_numerics.REFERENCE_CASES.read_text()
    cases = json.loads(content)
    assert len(cases) == 12 and len(content) < 30_000
    for metric in doctor_numerics.METRIC_NAMES:
        assert len({case[metric]["score"] for case in cases}) > 6
    assert {case["epdms-v2.2"]["two_frame_extended_comfort"] for case in cases} == {None, 0.0, 1.0}


def test_a_wrong_score_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = json.loads(doctor_numerics.REFERENCE_CASES.read_text())[:2]
    cases[1]["pdms-v1.1"]["score"] += 1e-5
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    monkeypatch.setattr(doctor_numerics, "REFERENCE_CASES", tmp_path / "cases.json")
    finding = only(doctor_numerics.check_reference_cases())
    assert finding.status is Status.FAULT and "1 of 4 scores" in finding.message and "const_vel" in finding.message


def make_devkit(root: Path, version: str, text: str = "") -> Path:
    package = root / "navsim"
    for folder in ("evaluate", "planning/script/config/common/train_test_split"):
        (package / folder).mkdir(parents=True)
    (package / "evaluate" / "pdm_score.py").write_text(text)
    (package / "__init__.py").write_text("raise AssertionError('the doctor must not import it')")
    (root / "setup.py").write_text(f'setup(version="{version}")')
    if version.startswith("2"):
        (package / "traffic_agents_policies").mkdir()
    return package


@pytest.mark.parametrize(
    "version, text, metric",
    [
        ("1.1.0", "", "pdms-v1.1"),
        ("2.0.0", "", "epdms-v2.2-prefix"),
        ("2.0.0", "modified_any = True", "epdms-v2.2"),
    ],
)
def test_devkits_are_told_apart(
    version: str, text: str, metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_devkit(tmp_path, version, text)
    monkeypatch.syspath_prepend(tmp_path)
    devkit = inspect_package(package)
    assert devkit is not None and devkit.metric == metric
    first = check_devkit({})[0]
    assert first.status is Status.OK and version in first.message and metric in first.message


def test_navsim_from_pypi_is_another_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "navsim").mkdir()
    (tmp_path / "navsim" / "__init__.py").write_text("raise AssertionError('the doctor must not import it')")
    monkeypatch.syspath_prepend(tmp_path)
    finding = only(check_devkit({}))
    assert finding.status is Status.FAULT and "another project" in finding.message
    assert "pip uninstall navsim" in finding.mend


def test_the_devkit_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_devkit(tmp_path / "one", "1.1.0")
    make_devkit(tmp_path / "two", "2.0.0")
    monkeypatch.syspath_prepend(tmp_path / "one")

    def judge(root: Path) -> Finding:
        return check_devkit({"NAVSIM_DEVKIT_ROOT": str(root)})[1]

    assert judge(tmp_path / "one").status is Status.OK
    assert judge(tmp_path / "two").status is Status.WARNING and "finds" in judge(tmp_path / "two").message
    assert judge(tmp_path).status is Status.FAULT


def test_data_without_sensors_and_with_two_of_four_maps(data: Path) -> None:
    patient = Patient(data=data)
    assert [finding.status for finding in check_roots(patient)] == [Status.OK, Status.WARNING]
    assert "test 3 logs" in check_roots(patient)[0].message
    finding = only(check_maps(patient))
    assert finding.status is Status.WARNING and "us-ma-boston" in finding.message


def test_missing_and_broken_maps(data: Path) -> None:
    (broken,) = (data / "maps" / "sg-one-north").glob("*/map.gpkg")
    broken.write_bytes(b"not a map")
    assert only(check_maps(Patient(data=data))).status is Status.FAULT
    broken.unlink()
    faults = [finding for finding in check_split(Patient(data=data, split="test")) if finding.status is Status.FAULT]
    assert "scenes have no map" in only(faults).message
    (data / "maps" / "nuplan-maps-v1.0.json").unlink()
    finding = only(check_maps(Patient(data=data)))
    assert finding.status is Status.FAULT and "nuplan-maps-v1.0.json is missing" in finding.message


def test_logs_that_the_split_names_are_missing(data: Path) -> None:
    names = [path.stem for path in EMBEDDED_LOGS.glob("*.pkl")]
    partly = only(check_split(Patient(data=data, split=write_split(data, log_names=[*names, "2021.log"]))))
    assert partly.status is Status.FAULT and "1 of 4 logs" in partly.message and "2021.log" in partly.message
    other = only(check_split(Patient(data=data, split=write_split(data, log_names=["a", "b"]))))
    assert other.status is Status.FAULT and "another split" in other.mend


def test_scenes_that_the_split_names_are_missing(data: Path) -> None:
    tokens = ["22da6d1baa96fccf", "0" * 16]
    findings = check_split(Patient(data=data, split=write_split(data, tokens=tokens)))
    assert findings[0].status is Status.FAULT and "1 scenes are in none of the logs" in findings[0].message


def test_caches_that_are_there_and_stale(data: Path) -> None:
    split, folder = write_split(data, max_scenes=3), data / "caches"
    patient = Patient(data=data, split=split, cache=folder)

    def judge() -> Finding:
        return check_split(patient)[-1]

    assert judge().status is Status.WARNING and "0 of 3" in judge().message
    assert call("cache", "--data", data, "--split", split, "--cache", folder, "--workers", "1").status == 0
    patient = Patient(data=data, split=split, cache=next(folder.glob("metric-caches-*")))
    assert judge().status is Status.OK and "3 of 3" in judge().message
    files: List[Path] = sorted(folder.rglob("*.safetensors"))
    files[0].write_bytes(b"broken")
    files[1].unlink()
    assert "1 of 3 metric caches, 1 more are stale" in judge().message
