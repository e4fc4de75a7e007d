"""The commands that an experiment consists of."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from latentvla_agent.errors import LatentVLAError
from latentvla_agent.pipeline import experiment
from latentvla_agent.pipeline.experiment import run_command, run_experiment

OWN = """
splits: [minitown-val]
stages: {start: "train planner --config smoke --seed {seed} --set 'a=[b, c]'"}
cells:
  one: {config: smoke, set: {start: "runs/ipad-{seed}.safetensors", epochs: 2}, needs: [start]}
  two: {config: smoke, set: {agent: ipad}, needs: [start]}
"""


def test_each_cell_is_trained_scored_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: List[str] = []

    def pretend(command: List[str]) -> None:
        commands.append(" ".join(command).replace(str(tmp_path), "T"))
        if "--out" in command and command[0] == "train":
            folder = Path(command[command.index("--out") + 1])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "training.json").write_text("{}")
            (folder / "ipad-seed0.yaml").write_text("")

    monkeypatch.setattr(experiment, "run_command", pretend)
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    run_experiment(str(path), [0], [], tmp_path / "out", {"minitown-val": Path("/data/val")}, ["--set", "threads=1"])
    assert commands == [
        "train planner --config smoke --seed 0 --set a=[b, c] --set threads=1",  # once, for both
        "train planner --config smoke --seed 0 --out T/out/one-0 --set start=runs/ipad-0.safetensors --set epochs=2"
        " --set threads=1",
        "eval --agent T/out/one-0/ipad-seed0.yaml --split minitown-val --data /data/val --out T/out/one-0/minitown-val",
        "train planner --config smoke --seed 0 --out T/out/two-0 --set agent=ipad --set threads=1",
        "eval --agent T/out/two-0/ipad-seed0.yaml --split minitown-val --data /data/val --out T/out/two-0/minitown-val",
        "compare --results one=T/out/one-0/minitown-val --results two=T/out/two-0/minitown-val"
        " --out T/out/compare-minitown-val",
    ]
    commands.clear()
    run_experiment(str(path), [0], ["two"], tmp_path / "out", {}, ["--set", "epochs=9"])
    assert [command.split()[0] for command in commands] == ["train", "train", "eval", "compare"]
    assert "--set epochs=9" in commands[1], "whether the folder holds this training is for the training to say"


def test_a_step_that_fails_ends_it() -> None:
    with pytest.raises(LatentVLAError, match="latentvla eval ended with status 2: eval --agent nobody"):
        run_command(["eval", "--agent", "nobody"])
