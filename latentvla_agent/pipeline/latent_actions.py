"""`latentvla train latent-actions`: both steps of the latent action model, or a trained one; its report and codes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence

import numpy as np
import pytorch_lightning as lightning
import torch
from safetensors.torch import load_file

from latentvla_agent.data.files import hash_file, write_atomically
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.features.ego_status import EgoStatusFeatures
from latentvla_agent.features.windows import PROJECTION, WindowTargets
from latentvla_agent.models.backbones import load_pretrained_backbones
from latentvla_agent.models.checkpoint_files import find_checkpoint
from latentvla_agent.models.frame_encoder import FrameEncoder
from latentvla_agent.models.latent_action import LatentActionModel
from latentvla_agent.models.latent_action_config import STEPS
from latentvla_agent.models.weights import load_weights
from latentvla_agent.pipeline.code_pictures import write_code_page
from latentvla_agent.pipeline.scenes import (
    DataRequest,
    cache_features,
    claim_run,
    collect_scenes,
    collect_splits,
    hash_frozen,
)
from latentvla_agent.training.action_codes import read_codes, write_codes
from latentvla_agent.training.config import read_training
from latentvla_agent.training.feature_cache import FeatureCache, SceneCache
from latentvla_agent.training.fitting import REPORT, RUN, WEIGHTS, FitPlan, fit
from latentvla_agent.training.latent_action_config import LatentActionTraining
from latentvla_agent.training.latent_action_module import EXPLAINED, LatentActionModule
from latentvla_agent.training.latent_action_report import ReportConfig, report_latent_actions
from latentvla_agent.training.processes import find_share, first_alone
from latentvla_agent.training.scene_features import FeatureSource, SceneSet
from latentvla_agent.training.trial_cache import TRIALS, cache_trials

STATISTICS_SCENES = 1024  # that mean and deviation of the features are of
CHUNK = 64  # scenes that are encoded in one pass


def train_latent_actions(
    config: str, seed: int, out: Optional[Path], settings: Mapping[str, Any], request: DataRequest
) -> None:
    """See `cli.train.train_latent_actions_command`. No map, box or score is read: metric caches are not made."""
    training = read_training(config, LatentActionTraining, settings)
    torch.set_num_threads(training.threads or count_cores())
    encoder = FrameEncoder(training.backbone, training.model.grid)
    load_pretrained_backbones(encoder)
    trained = load_model(training) if training.weights else None
    scenes = collect_splits(request, training)
    told = {"weights": hash_file(find_checkpoint(training.weights))} if trained else {}
    asked = replace(training, also=())  # codes of other splits may be asked for later
    folder, facts = claim_run(config, seed, out, asked, scenes, **told)
    targets = [WindowTargets(training.window)]
    source = FeatureSource(EgoStatusFeatures(), targets, encoder, hash_frozen(encoder), training)
    caches = cache_features(source, scenes, request.cache)
    model = trained or learn_both_steps(training, seed, folder, caches, facts)
    if find_share()[0] > 0:
        return
    shutil.rmtree(folder / TRIALS, ignore_errors=True)  # half a gigabyte that nobody reads again
    report = report_latent_actions(model, caches[0], caches[1], seed, ReportConfig(moving=training.moving))
    write_atomically(folder / REPORT, (json.dumps(report, indent=1) + "\n").encode())
    print(f"report: {report}")
    others = [collect_scenes(request, request.data, split) for split in training.also]
    for own, cache in zip([*others, *scenes], [*cache_features(source, others, request.cache), *caches]):
        write_scene_codes(model, own, cache, folder)
    write_page(scenes[1], caches[1], targets[0], training, folder)


def load_model(training: LatentActionTraining) -> LatentActionModel:
    """A model of the second step that was trained before, see `load_weights`."""
    model = LatentActionModel(replace(training.model, step=STEPS[-1]))
    load_weights(model, training.weights)
    return model


def learn_both_steps(
    training: LatentActionTraining, seed: int, folder: Path, caches: Sequence[FeatureCache], facts: Mapping[str, Any]
) -> LatentActionModel:
    """Train both steps, or what is left of them; the model of the second one."""
    for step in STEPS:
        model = make_model(training, step, folder, seed, caches[0])
        train, dev = join_trials(model, caches, folder)
        record = train_step(model, training, FitPlan(folder / step, seed, train, dev, facts, EXPLAINED))
        if record:  # this is the first of several processes
            print(f"trained {step} codes, seed {seed}: {record}")
    return model


def write_scene_codes(model: LatentActionModel, scenes: SceneSet, cache: FeatureCache, folder: Path) -> None:
    """The codes of a split."""
    path = folder / f"codes-{scenes.name}.npz"
    write_codes(path, cache.tokens, encode_scenes(model, cache))
    print(f"codes of {scenes.name}: {path}")


def write_page(
    scenes: SceneSet, cache: FeatureCache, targets: WindowTargets, training: LatentActionTraining, folder: Path
) -> None:
    """Pictures of the codes of a split, which are written already."""
    page, motion = folder / f"codes-{scenes.name}.html", cache.read(range(len(cache)))["motion"]
    codes = read_codes(page.with_suffix(".npz"), cache.tokens)
    write_code_page(page, scenes, codes, motion, targets, training.model.vocabulary)
    print(f"pictures of codes: {page}")


def make_model(
    training: LatentActionTraining, step: str, folder: Path, seed: int, cache: FeatureCache
) -> LatentActionModel:
    """The model of a step, untrained: of the second one, what the first has learnt."""
    lightning.seed_everything(seed, verbose=False)
    model = LatentActionModel(replace(training.model, step=step))
    if step == STEPS[0]:
        indices = np.linspace(0, len(cache) - 1, min(len(cache), STATISTICS_SCENES)).astype(int)
        sample = cache.read(indices.tolist())
        model.set_statistics(sample["frame_features"], sample["motion"])
        return model
    first = LatentActionModel(replace(training.model, step=STEPS[0]))
    first.load_state_dict(load_file(folder / STEPS[0] / WEIGHTS))
    model.start_from(first)
    return model


def join_trials(model: LatentActionModel, caches: Sequence[FeatureCache], folder: Path) -> List[SceneCache]:
    """What a step is trained on: in the second one, trial motions have been tried before."""
    if model.config.step == STEPS[0] or (folder / STEPS[1] / RUN).is_file():
        return list(caches)
    with first_alone():
        pairs = zip(("train", "dev"), caches)
        joined: List[SceneCache] = [cache_trials(model, cache, folder / TRIALS / name) for name, cache in pairs]
    return joined


def train_step(model: LatentActionModel, training: LatentActionTraining, plan: FitPlan) -> Mapping[str, Any]:
    """Train a step, or read the weights of one that is finished."""
    if (plan.out / RUN).is_file():
        model.load_state_dict(load_file(plan.out / WEIGHTS))
        return {"finished before": str(plan.out)}
    plan.out.mkdir(parents=True, exist_ok=True)
    epochs = training.epochs if model.config.step == STEPS[-1] else training.environment_epochs
    return fit(LatentActionModule(model, training), replace(training, epochs=epochs), plan)


def encode_scenes(model: LatentActionModel, cache: FeatureCache) -> torch.Tensor:
    """Codes (scenes, slots) of the ego, transition by transition."""
    model.eval()
    codes: List[torch.Tensor] = []
    with torch.no_grad():
        for part in torch.arange(len(cache)).split(CHUNK):
            batch = cache.read(part.tolist())
            latents = model.encode(batch["frame_features"], batch[PROJECTION])
            codes.append(latents[STEPS[-1]].codes.flatten(1))
    return torch.cat(codes)
