"""One training from start to finished files, or from where it was stopped."""

from __future__ import annotations

import inspect
import json
import logging
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Union

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy
from safetensors.torch import load_file

from latentvla_agent.data.files import write_atomically
from latentvla_agent.errors import ConfigError
from latentvla_agent.models.weights import write_weights
from latentvla_agent.training.batches import EpochBatches, load_batches
from latentvla_agent.training.config import TrainingConfig
from latentvla_agent.training.feature_cache import SceneCache
from latentvla_agent.training.learner import Learner, read_shown
from latentvla_agent.training.processes import PATIENCE, find_share, first_alone

LAST, BEST, WEIGHTS, RUN, LOGS = "last.ckpt", "best.ckpt", "model.safetensors", "training.json", "logs"
IDENTITY, REPORT = "identity.json", "report.json"
MACHINE = ("threads", "workers")  # say how fast one learns, not what: another machine may go on
DEV_SCORE = "dev_score"  # the higher, the better


@dataclass(frozen=True)
class FitPlan:
    """What `fit` needs besides the module: where the result goes, its seed, the caches, and what it is chosen by."""

    out: Path
    seed: int
    train: SceneCache
    dev: SceneCache
    facts: Mapping[str, Any]
    monitor: str = DEV_SCORE


def fit(module: Learner, training: TrainingConfig, plan: FitPlan) -> Dict[str, Any]:
    """Train, or go on; the weights of the highest `plan.monitor` end as `model.safetensors` in `plan.out`.

    The model has them too, in every process. Returns what `training.json` holds, and nothing in any process but the
    first of several. See `claim_folder` for `plan.out`.
    """
    quieten()
    begun = time.perf_counter()
    module.seed = plan.seed
    lightning.seed_everything(plan.seed, verbose=False)  # whoever built a cache has drawn some numbers
    trainer = make_trainer(training, plan)
    batches = EpochBatches(len(plan.train), training.batch_size, plan.seed, share=find_share)
    dev = EpochBatches(len(plan.dev), training.batch_size, shuffle=False)
    last = plan.out / LAST
    module.train()  # whoever built a feature cache left it in eval mode, and Lightning keeps the mode it finds
    trainer.fit(
        module,
        load_batches(plan.train, batches),
        load_batches(plan.dev, dev),
        ckpt_path=str(last) if last.is_file() else None,
        **read_safely(trainer),
    )
    with first_alone() as is_first:
        if is_first:
            return finish(module, plan, time.perf_counter() - begun)
        module.model.load_state_dict(load_file(plan.out / WEIGHTS))
    return {}


def make_trainer(training: TrainingConfig, plan: FitPlan) -> lightning.Trainer:
    """Lightning's trainer, logs and checkpoints in the folder of the result; every start has a log of its own."""
    part = str(len(list((plan.out / LOGS).glob("*"))))
    best, last = (Path(name).stem for name in (BEST, LAST))
    keep_best = ModelCheckpoint(
        plan.out, filename=best, monitor=plan.monitor, mode="max", save_top_k=1, enable_version_counter=False
    )
    # Lightning's own `save_last` writes where a best one is written, and nowhere else: a resumed training went back.
    keep_last = ModelCheckpoint(plan.out, filename=last, save_top_k=1, enable_version_counter=False)
    return lightning.Trainer(
        accelerator=training.accelerator,
        devices=training.devices,
        strategy=choose_strategy(training.devices),
        precision=training.precision,  # type: ignore[arg-type]
        max_epochs=training.epochs,
        accumulate_grad_batches=training.accumulate,
        gradient_clip_val=training.optimizer.gradient_clip,
        check_val_every_n_epoch=training.check_every,
        use_distributed_sampler=False,  # `EpochBatches` knows its process
        num_sanity_val_steps=0,
        callbacks=[keep_best, keep_last, TQDMProgressBar(refresh_rate=10)],
        logger=[kind(plan.out, name=LOGS, version=part) for kind in (CSVLogger, TensorBoardLogger)],
        log_every_n_steps=10,
        enable_model_summary=False,
    )


def read_safely(trainer: lightning.Trainer) -> Dict[str, Any]:
    """Lightning 2.6 unpickles tensors alone where it is asked to; those that Python 3.9 has cannot be asked."""
    return {"weights_only": True} if "weights_only" in inspect.signature(trainer.fit).parameters else {}


def choose_strategy(devices: int) -> Union[str, DDPStrategy]:
    """Lightning's own of one device; several look in every step which weights it left out.

    Many do: a student's head that its loss does not count, a planner's judges where it only imitates, the logit scale
    of a contrastive tower.
    """
    return DDPStrategy(find_unused_parameters=True, timeout=PATIENCE) if devices > 1 else "auto"


def quieten() -> None:
    """Lightning's advice and its remarks on what is meant so here."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    remarks = ("Checkpoint directory", ".*in eval mode", ".*logging interval", ".*LeafSpec", ".*have many workers")
    for remark in remarks:
        warnings.filterwarnings("ignore", message=remark)


def claim_folder(out: Path, training: TrainingConfig, seed: int, facts: Mapping[str, Any]) -> None:
    """Make the folder of a training, or recognise it; raises `ConfigError` where it holds another one."""
    settings = {name: value for name, value in asdict(training).items() if name not in MACHINE}
    path, identity = out / IDENTITY, {"training": settings, "seed": seed, **facts}
    content = json.dumps(identity, indent=1, sort_keys=True, default=str)
    if path.is_file() and path.read_text() != content:
        raise ConfigError(f"{out}: holds another training (see {path.name}); name another --out, or delete it")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.encode())


def finish(module: Learner, plan: FitPlan, seconds: float) -> Dict[str, Any]:
    """Write weights, config and the record of the training."""
    best = torch.load(plan.out / BEST, map_location="cpu", weights_only=True)
    module.model.load_state_dict(read_shown(best["state_dict"]))
    write_weights(module.model, plan.out / WEIGHTS)
    record = {**plan.facts, "seed": plan.seed, "epoch": best["epoch"], "seconds": round(seconds, 1)}
    write_atomically(plan.out / RUN, (json.dumps(record, indent=1, default=str) + "\n").encode())
    return record
