"""`latentvla train planner`: every stage on a few scenes, mistakes, and going on after a kill."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.evaluation.commands import call, environment, start

SMALL = ("--set", "threads=1", "--set", "workers=0")
TIME_LIMIT_S = 240.0


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches go to a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def read_log(out: Path, start: int = 0) -> List[Dict[str, str]]:
    """Rows of the CSV log of the first start, or of a later one."""
    with (out / "logs" / str(start) / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    assert "did you mean 'smoke'" in call("train", "planner", "--config", "smok").error
    assert "expected KEY=VALUE" in call("train", "planner", "--config", "smoke", "--set", "epochs").error
    assert "unknown entry 'epoch'" in call("train", "planner", "--config", "smoke", "--set", "epoch=1").error
    stuck = call("train", "planner", "--config", "smoke", "--set", "agent=stop", *SMALL, "--out", tmp_path)
    assert "agent stop: expected one that learns" in stuck.error
    other = call("train", "planner", "--config", "smoke", "--set", "metric=epdms-v2.2", *SMALL, "--out", tmp_path / "m")
    assert "metric epdms-v2.2: expected scores among" in other.error and not (tmp_path / "m").exists()


@pytest.mark.slow
def test_a_training_leaves_weights_and_a_log(tmp_path: Path) -> None:
    out = tmp_path / "run"
    answer = call("train", "planner", "--config", "smoke", *SMALL, "--out", out)
    assert answer.status == 0, answer.err
    rows = read_log(out)
    shares = [float(row["label_share"]) for row in rows if row["label_share"]]
    assert len(shares) == 2 and all(0.0 < share < 1.0 for share in shares)
    assert all(0.0 <= float(row["dev_score"]) <= 1.0 for row in rows if row["dev_score"])
    assert {"loss", "loss/imitation", "loss/scores", "loss/areas", "dev/ego_progress"} <= set(rows[0])
    assert load_file(out / "model.safetensors") and json.loads((out / "training.json").read_text())["seed"] == 0
    assert torch.load(out / "last.ckpt", weights_only=True)["epoch"] == 1, "the last epoch, be it the best or not"
    scored = call(
        "eval", "--split", "embedded", "--max-scenes", 2, "--agent", out / "ipad_blind-seed0.yaml", "--out", tmp_path
    )
    assert scored.status == 0 and "ipad_blind-seed0" in scored.out
    written = (out / "training.json").read_text()
    again = call(
        "train", "planner", "--config", "smoke", *SMALL, "--set", "threads=1", "--set", "workers=1", "--out", out
    )
    assert again.status == 0 and "finished before" in again.out, "the same training on another machine"
    assert (out / "training.json").read_text() == written
    changed = call("train", "planner", "--config", "smoke", *SMALL, "--set", "epochs=3", "--out", out)
    assert changed.status == 2 and "holds another training" in changed.err
    other = call("train", "planner", "--config", "smoke", "--seed", 1, *SMALL, "--out", out)
    assert other.status == 2 and "holds another training" in other.err


@pytest.mark.slow
@pytest.mark.parametrize("agent, part", (("transfuser_blind", "loss/bev"), ("ego_status_mlp", "loss")))
def test_a_training_without_proposals(tmp_path: Path, agent: str, part: str) -> None:
    settings = (*SMALL, "--set", f"agent={agent}", "--set", "epochs=1")
    answer = call("train", "planner", "--config", "smoke", *settings, "--out", tmp_path / "run")
    assert answer.status == 0, answer.err
    assert part in read_log(tmp_path / "run")[0]


@pytest.mark.slow
def test_latent_actions_are_learnt_without_labels(tmp_path: Path) -> None:
    pytest.importorskip("embreex")
    out, split = tmp_path / "run", "minitown-val"
    few = ("--set", f"train_split={split}", "--set", f"dev_split={split}", "--set", "max_scenes=6", "--set", "epochs=1")
    command = ("train", "latent-actions", *few, "--set", "also=[]", "--set", "batch_size=3", *SMALL, "--out", out)
    answer = call(*command)
    assert answer.status == 0, answer.err
    with np.load(out / f"codes-{split}.npz", allow_pickle=False) as found:
        assert found["codes"].shape == (6, 12) and found["codes"].max() < 16 and len(found["tokens"]) == 6
    assert load_file(out / "environment" / "model.safetensors") and load_file(out / "ego" / "model.safetensors")
    assert set(json.loads((out / "report.json").read_text())["probe"]) == {"ego", "environment", "untrained", "speed"}
    assert not list((tmp_path / "cache").rglob("metric-caches*/*/*")), "nobody asked for scores"
    page = (out / f"codes-{split}.html").read_text()
    assert page.count("<figcaption>code ") == 16 and "data:image/jpeg" in page and "<svg" in page
    again = call(*command)
    assert again.status == 0 and again.out.count("finished before") == 2
    known, trained = tmp_path / "known", ("--set", f"weights={out / 'ego' / 'model.safetensors'}")
    written = call(*command[:-1], known, *trained)
    assert written.status == 0 and "trained ego codes" not in written.out, written.err
    assert (known / "report.json").read_text() == (out / "report.json").read_text()
    assert (known / f"codes-{split}.npz").read_bytes() == (out / f"codes-{split}.npz").read_bytes()
    pytest.importorskip("open_clip")
    learn = ("--set", f"codes={out}", "--set", "teacher.decoder_layers=1", "--out", tmp_path / "teacher")
    taught = call("train", "teacher", *few, "--set", "batch_size=3", *SMALL, *learn)
    assert taught.status == 0, taught.err
    assert load_file(tmp_path / "teacher" / "model.safetensors")["slots"].shape == (12, 192)
    assert {"dev_likelihood", "dev/accuracy", "dev/accuracy_11"} <= set(read_log(tmp_path / "teacher")[0])
    compared = json.loads((tmp_path / "teacher" / "report.json").read_text())
    assert {"chance", "prior", "teacher", "blind", "teacher_minus_blind"} == set(compared)
    assert set(compared["teacher_minus_blind"]["accuracy"]) == {"difference", "low", "high"}
    assert len((tmp_path / "teacher" / f"written-{split}.csv").read_text().splitlines()) == 7
    follow = ("--set", f"teacher={tmp_path / 'teacher'}", "--set", f"codes={out}", "--set", "loss.codes=1")
    distilled = call("train", "distill", *few, *follow, "--set", "batch_size=3", *SMALL, "--out", tmp_path / "student")
    assert distilled.status == 0, distilled.err
    assert load_file(tmp_path / "student" / "model.safetensors")["action_output.weight"].shape == (192, 128)
    assert {"dev_closeness", "dev/agreement", "loss/codes"} <= set(read_log(tmp_path / "student")[0])
    stranger = call("train", "distill", *few, "--set", f"teacher={out}", *SMALL, "--out", tmp_path / "stranger")
    assert stranger.status == 2 and "expected a finished training of a teacher" in stranger.err


@pytest.mark.slow
def test_killed_it_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ("train", "planner", "--config", "smoke", "--set", "epochs=12", *SMALL, "--out", out)
    process = start(*command)
    begun = time.monotonic()
    while not (out / "last.ckpt").is_file() and time.monotonic() < begun + TIME_LIMIT_S:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (out / "last.ckpt").is_file() and not (out / "training.json").exists()
    answer = call(*command)
    assert answer.status == 0, answer.err
    epochs = {int(row["epoch"]) for row in read_log(out, 1)}
    assert min(epochs) > 0 and max(epochs) == 11


@pytest.mark.slow
def test_two_processes_train_together(tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = ("--set", "devices=2", "--set", "accelerator=cpu", "--set", "accumulate=2")
    command = [sys.executable, "-m", "latentvla_agent", "train", "planner", "--config", "smoke", *settings, *SMALL]
    ended = subprocess.run([*command, "--out", str(out)], env=environment(), capture_output=True, timeout=TIME_LIMIT_S)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert (out / "training.json").is_file() and os.path.getsize(out / "model.safetensors") > 1e5
