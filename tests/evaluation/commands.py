"""Calls the command `latentvla`, in this process or in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple

from latentvla_agent.cli import app
from latentvla_agent.data.roots import DATA_VARIABLE, EMBEDDED_FOLDER, MAPS_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from latentvla_agent.cli import main; main()"]
EMBEDDED_LOGS = EMBEDDED_FOLDER / "navsim_logs" / "embedded"


class Answer(NamedTuple):
    """Exit status and output of a command."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what is wrong; fails for more lines, and for a traceback."""
        assert "Traceback" not in self.err + self.out, self.err
        lines = [line for line in self.err.splitlines() if line.startswith("latentvla: error: ")]
        others = [
            line for line in self.err.splitlines() if line not in lines and not line.startswith(("split ", "scorer "))
        ]
        assert len(lines) == 1 and not others, self.err
        assert self.status == 2 and self.out == "", f"status {self.status}, output {self.out!r}"
        return lines[0]


def call(*arguments: object) -> Answer:
    """Run a command in this process: fast, for whatever ends before workers start."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            app([str(argument) for argument in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
    return Answer(status, out.getvalue(), err.getvalue())


def environment() -> Dict[str, str]:
    """The environment without data roots of the machine, and with the tests importable."""
    environ = {key: value for key, value in os.environ.items() if key not in (DATA_VARIABLE, MAPS_VARIABLE)}
    return {**environ, "PYTHONPATH": str(ROOT)}


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C for it does not reach the tests
        preexec_fn=_hear_interrupts,
    )


def _hear_interrupts() -> None:
    """Where the tests run in the background of a shell, Ctrl-C is ignored, and so it would be here."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(*arguments: object) -> Answer:
    """Run a command in a process of its own, to its end."""
    process = start(*arguments)
    out, err = process.communicate(timeout=300)
    return Answer(process.returncode, out, err)


def list_files(folder: Path) -> List[Path]:
    """All files below a folder, hidden ones too."""
    return sorted(path for path in folder.rglob("*") if not path.is_dir())
