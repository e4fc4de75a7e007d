"""What latent actions say, measured as the method page defines it: a probe of the ego's motion, use, reconstruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence

import torch

from latentvla_agent.features.windows import PROJECTION
from latentvla_agent.models.latent_action import LatentActionModel
from latentvla_agent.models.latent_action_config import STEPS
from latentvla_agent.training.feature_cache import FeatureCache
from latentvla_agent.training.latent_action_module import measure_perplexity

MOTIONS = ("dx", "dy", "dyaw")  # the first columns of a motion
SPEED = slice(3, 5)  # velocity at the beginning of the transition; see `features.windows`
CHUNK = 64  # scenes in one pass


@dataclass(frozen=True)
class ReportConfig:
    """`moving`: metres in a transition beyond which it counts as one in which the ego moves."""

    moving: float = 1.0
    ridge: float = 1e-2  # relative to the mean square of the inputs
    max_scenes: int = 2048  # of the training split, that the probe is fitted on


class Transitions(NamedTuple):
    """Moving transitions of a split: quantised vectors by kind (N, numbers), motion (N, 7), codes by kind (N, Q)."""

    vectors: Dict[str, torch.Tensor]
    motion: torch.Tensor
    codes: Dict[str, torch.Tensor]
    errors: Dict[str, torch.Tensor]


def report_latent_actions(
    model: LatentActionModel, train: FeatureCache, dev: FeatureCache, seed: int, config: ReportConfig = ReportConfig()
) -> Dict[str, Any]:
    """The report of a model of the second step; `dev` holds other road networks than `train`.

    `probe`: share of the variance of each motion that a ridge regression explains on `dev`, from the vectors of one
    transition: of the ego's and the environment's codebook, of an untrained encoder with a codebook of its own, and
    from the speed alone. `reconstruction`: squared error over that of copying the frame before; `shuffled`: with ego
    codes of another scene.
    """
    untrained = make_untrained(model, train, seed)
    fitted, measured = (collect(model, cache, config) for cache in (train, dev))
    others = [collect(untrained, cache, config) for cache in (train, dev)]
    sources = {kind: (fitted.vectors[kind], measured.vectors[kind]) for kind in STEPS}
    sources["untrained"] = (others[0].vectors["ego"], others[1].vectors["ego"])
    sources["speed"] = (fitted.motion[:, SPEED], measured.motion[:, SPEED])
    errors = {name: float(value.mean()) for name, value in measured.errors.items()}
    return {
        "moving_transitions": {"train": len(fitted.motion), "dev": len(measured.motion)},
        "probe": {
            name: probe(inputs, fitted.motion, others_inputs, measured.motion, config)
            for name, (inputs, others_inputs) in sources.items()
        },
        "perplexity": {
            kind: float(measure_perplexity(codes.flatten(), model.config)) for kind, codes in measured.codes.items()
        },
        "reconstruction": errors["predicted"] / errors["copied"],
        "shuffled": errors["shuffled"] / errors["copied"],
    }


def probe(
    inputs: torch.Tensor, motion: torch.Tensor, new_inputs: torch.Tensor, new_motion: torch.Tensor, config: ReportConfig
) -> Dict[str, float]:
    """Share of the variance (R squared) of each motion, by a ridge regression with an intercept.

    Inputs that are all alike, as those of a collapsed codebook, predict the mean and explain nothing.
    """
    center, wanted = inputs.double().mean(dim=0), motion[:, : len(MOTIONS)].double()
    design, middle = inputs.double() - center, wanted.mean(dim=0)
    penalty = config.ridge * design.square().sum(dim=0).mean().clamp(min=torch.finfo(torch.float64).eps)
    gram = design.T @ design + penalty * torch.eye(design.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, design.T @ (wanted - middle))
    predicted = (new_inputs.double() - center) @ weights + middle
    true = new_motion[:, : len(MOTIONS)].double()
    rest = (predicted - true).square().sum(dim=0)
    total = (true - true.mean(dim=0)).square().sum(dim=0)
    return dict(zip(MOTIONS, (1.0 - rest / total).tolist()))


def collect(model: LatentActionModel, cache: FeatureCache, config: ReportConfig) -> Transitions:
    """All moving transitions of a split, at most those of `max_scenes` evenly spread scenes."""
    model.eval()
    kinds = model.config.kinds
    vectors: Dict[str, List[torch.Tensor]] = {kind: [] for kind in kinds}
    codes: Dict[str, List[torch.Tensor]] = {kind: [] for kind in kinds}
    errors: Dict[str, List[torch.Tensor]] = {name: [] for name in ("predicted", "copied", "shuffled")}
    motion: List[torch.Tensor] = []
    with torch.no_grad():
        for batch in _read(cache, config.max_scenes):
            is_moving = batch["motion"][..., 0].abs() > config.moving
            found = model(batch["frame_features"], batch[PROJECTION])
            foreign = model.predict_foreign(batch["frame_features"], found.latents, "ego", batch[PROJECTION])
            motion.append(batch["motion"][is_moving])
            for kind in kinds:
                vectors[kind].append(found.latents[kind].vectors[is_moving].flatten(1))
                codes[kind].append(found.latents[kind].codes[is_moving])
            guesses = {"predicted": found.predicted, "copied": found.before, "shuffled": foreign}
            for name, guess in guesses.items():
                errors[name].append((guess - found.target)[is_moving].square().mean(dim=(1, 2)))
    join = {name: {key: torch.cat(parts) for key, parts in own.items()} for name, own in (("v", vectors), ("c", codes))}
    joined = {name: torch.cat(parts) for name, parts in errors.items()}
    return Transitions(join["v"], torch.cat(motion), join["c"], joined)


def make_untrained(model: LatentActionModel, train: FeatureCache, seed: int) -> LatentActionModel:
    """An encoder of random weights, whose codebooks are fitted to what it gives."""
    with torch.random.fork_rng():
        torch.manual_seed(seed + 1)
        untrained = LatentActionModel(model.config)
        for name in ("feature_mean", "feature_deviation"):
            getattr(untrained, name).copy_(getattr(model, name))
        untrained.train()
        for quantiser in untrained.quantisers.values():
            quantiser.freeze(False)  # type: ignore[operator]
        with torch.no_grad():
            for batch in _read(train, 8 * CHUNK):
                untrained.encode(batch["frame_features"], batch[PROJECTION])
    return untrained.eval()


def _read(cache: FeatureCache, max_scenes: int) -> Iterator[Dict[str, torch.Tensor]]:
    """Batches in a drawn order, always the same: the next scene of a batch, whose codes are the foreign ones, is not
    the next one of the drive."""
    count = min(len(cache), max_scenes)
    spread = torch.linspace(0, len(cache) - 1, count).long()
    indices: Sequence[int] = spread[torch.randperm(count, generator=torch.Generator().manual_seed(0))].tolist()
    for start in range(0, count, CHUNK):
        yield cache.read(indices[start : start + CHUNK])
