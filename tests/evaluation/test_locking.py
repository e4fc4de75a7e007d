"""One run per folder, and no folder stays locked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.locking import lock_folder

ROOT = Path(__file__).resolve().parents[2]


def test_a_locked_folder_is_refused_until_it_is_free(tmp_path: Path) -> None:
    with lock_folder(tmp_path):
        with pytest.raises(DataError, match="another run is writing here; choose another --out"):
            with lock_folder(tmp_path):
                pass
    with lock_folder(tmp_path):
        pass


def test_an_error_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), lock_folder(tmp_path):
        raise RuntimeError
    with lock_folder(tmp_path):
        pass


def test_a_killed_process_frees_the_folder(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from latentvla_agent.evaluation.locking import lock_folder\n"
        f"with lock_folder(Path({str(tmp_path)!r})):\n"
        "    print('locked', flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        with pytest.raises(DataError, match="another run"), lock_folder(tmp_path):
            pass
        process.kill()
        process.wait()
    with lock_folder(tmp_path):
        pass


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing: cannot be written .No such file"), lock_folder(tmp_path / "missing"):
        pass
