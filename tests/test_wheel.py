"""The wheel where there is nothing else: it holds everything, loads nothing heavy, and Hydra finds its agents."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import List

import pytest

from latentvla_agent.agent_files import list_agent_files

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "navsim", "nuplan", "hydra", "open_clip", "ray", "pandas")
LOADED = f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
APPLICATION = """
import sys
from hydra import compose, initialize_config_dir
with initialize_config_dir(sys.argv[1], version_base=None):
    for name in sys.argv[2:]:
        config = compose(overrides=[f"+agent={name}"]).agent
        print(name, config._target_, config.planner._target_)
"""


def run(*command: object) -> str:
    """Output of a command that must succeed, outside the checkout."""
    done = subprocess.run([str(part) for part in command], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the files that git knows, as they are now."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, folder / "source")
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
    return python


@pytest.mark.slow
def test_the_wheel_holds_everything(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    agents = [f"latentvla_agent/agents/{path.name}" for path in list_agent_files()]
    checkpoint = "latentvla_agent/checkpoints/ego_status_mlp"
    shipped = [
        *(ROOT / "latentvla_agent").rglob("training/**/*.yaml"),
        *(ROOT / "latentvla_agent").rglob("models/**/*.json"),
        *(ROOT / "latentvla_agent" / "viewer" / "page").iterdir(),
    ]
    data = [path.relative_to(ROOT).as_posix() for path in shipped]
    assert "latentvla_agent/training/configs/ipad-tiny.yaml" in data
    assert "latentvla_agent/viewer/page/index.html" in data
    for name in (*agents, *data, f"{checkpoint}/model.safetensors", "latentvla_agent/checkpoints/manifest.json"):
        assert name in names
    assert "hydra_plugins/latentvla_agent/__init__.py" in names and "hydra_plugins/__init__.py" not in names
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"latentvla_agent", "hydra_plugins"}
    assert not [name for name in names if name.startswith("latentvla_agent/") and "/tests/" in name]


@pytest.mark.slow
def test_nothing_heavy_is_loaded(python: Path) -> None:
    assert run(python, "-c", f"import sys, latentvla_agent; {LOADED}").strip() == "[]"
    command = "import sys\nfrom latentvla_agent.cli import main\ntry:\n    main()\nfinally:\n    "
    out = run(python, "-c", command + LOADED, "--help")
    assert "submit" in out and out.strip().splitlines()[-1] == "[]"
    assert "Evaluate agents" in run(python.parent / "latentvla", "--help") + run(
        python.parent / "latentvla", "eval", "--help"
    )


@pytest.mark.slow
def test_an_evaluation_runs(python: Path, tmp_path: Path) -> None:
    """Of the split that comes with the wheel."""
    options: List[object] = ["--agent", "stop", "--max-scenes", 2, "--out", tmp_path / "out", "--cache", tmp_path]
    assert "embedded scorer, split minitown-val, 2 scenes" in run(python.parent / "latentvla", "eval", *options)


@pytest.mark.slow
def test_hydra_finds_every_agent(python: Path, tmp_path: Path) -> None:
    """Comes last: it installs Hydra."""
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "hydra-core>=1.2")
    names = [path.stem for path in list_agent_files()]
    lines = run(python, "-c", APPLICATION, tmp_path, *names).splitlines()
    assert [line.split()[0] for line in lines] == names
    assert {line.split()[1] for line in lines} == {"latentvla_agent.navsim_bridge.NavsimAgent"}
