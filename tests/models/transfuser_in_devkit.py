"""Run by a devkit's interpreter: NAVSIM's TransFuser and ours with the same weights. Prints one JSON object.

python tests/models/transfuser_in_devkit.py [--latent] [--time ROUNDS] [--threads N]
"""

from __future__ import annotations

import argparse
import inspect
import json
import statistics
import time
from typing import Any, Dict, List, Tuple

import timm
import torch

from latentvla_agent.models.backbones import BackboneConfig
from latentvla_agent.models.transfuser import Transfuser
from latentvla_agent.models.transfuser_config import STAGES, TransfuserConfig
from latentvla_agent.training.transfuser_loss import TransfuserLossConfig, transfuser_loss

# Theirs to ours, the first prefix that fits.
PREFIXES = {
    "_backbone.image_encoder.": "encoder.image_backbone.network.",
    "_backbone.lidar_encoder.": "encoder.lidar_backbone.network.",
    "_backbone.lidar_latent": "encoder.lidar_input.grid",
    "_backbone.transformers.": "encoder.fusions.",
    "_backbone.lidar_channel_to_img.": "encoder.to_image.",
    "_backbone.img_channel_to_lidar.": "encoder.to_lidar.",
    "_backbone.c5_conv.": "bev_head.input.",
    "_backbone.up_conv5.": "bev_head.first.",
    "_backbone.up_conv4.": "bev_head.second.",
    "_bev_semantic_head.0.": "bev_head.third.",
    "_bev_semantic_head.2.": "bev_head.classes.",
    "_keyval_embedding.weight": "token_embedding",
    "_query_embedding.weight": "queries",
    "_bev_downscale.": "bev_projection.",
    "_status_encoding.": "status_projection.",
    "_tf_decoder.layers.": "decoder.",
    "_agent_head._mlp_states.": "agent_head.boxes.",
    "_agent_head._mlp_label.0.": "agent_head.logits.",
    "_trajectory_head._mlp.": "trajectory_head.",
}
INSIDE = {
    "pos_emb": "position",
    ".blocks.": ".layers.",
    ".ln1.": ".attention_norm.",
    ".ln2.": ".perceptron_norm.",
    ".mlp.": ".perceptron.",
    ".attn.proj.": ".attention.output.",
    ".attn.": ".attention.",
    "ln_f.": "norm.",
}
COMMAND_LAST = [4, 5, 6, 7, 0, 1, 2, 3]  # their status begins with the driving command, ours ends with it


def translate(theirs: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
    """Their weights under our names."""
    ours = {}
    for name, tensor in theirs.items():
        start = next(prefix for prefix in PREFIXES if name.startswith(prefix))
        rest = name[len(start) :]
        if start == "_backbone.transformers.":
            for old, new in INSIDE.items():
                rest = rest.replace(old, new, 1)
        ours[PREFIXES[start] + rest] = tensor
    for name in [name for name in ours if ".attention.query." in name]:
        parts = [ours.pop(name.replace("query", part)) for part in ("query", "key", "value")]
        ours[name.replace("query", "input")] = torch.cat(parts)
    for name in ("token_embedding", "queries"):
        ours[name] = ours[name][None]
    ours["status_projection.weight"] = ours["status_projection.weight"][:, COMMAND_LAST]
    return ours


def make_models(latent: bool) -> Tuple[Any, Any, Transfuser]:
    """Their config and model, and ours with its weights; no pretrained ones are asked for."""
    create = timm.create_model
    timm.create_model = lambda name, pretrained=False, **rest: create(name, pretrained=False, **rest)
    from navsim.agents.transfuser.transfuser_config import TransfuserConfig as TheirConfig
    from navsim.agents.transfuser.transfuser_model import TransfuserModel
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

    torch.manual_seed(0)
    their_config = TheirConfig(latent=latent)
    told = {"config": their_config}
    if "trajectory_sampling" in inspect.signature(TransfuserModel).parameters:  # of v2.2; v1.1's is in the config
        told["trajectory_sampling"] = TrajectorySampling(time_horizon=4, interval_length=0.5)
    theirs = TransfuserModel(**told)
    for name, tensor in theirs.state_dict().items():
        if name.endswith(("pos_emb", ".bias")):  # zero at first: a mistake in them would not show
            tensor.normal_(std=0.02)
    backbone = BackboneConfig("resnet34", STAGES)
    ours = Transfuser(TransfuserConfig(image_backbone=backbone, latent=latent))
    ours.load_state_dict(translate(theirs.state_dict()))
    return their_config, theirs.eval(), ours.eval()


def make_inputs(batch: int) -> Tuple[Dict[str, torch.Tensor], Dict[str, torch.Tensor]]:
    """The same scenes for them and for us."""
    image = torch.randint(0, 256, (batch, 3, 256, 1024), dtype=torch.uint8)
    counts = torch.randint(0, 6, (batch, 1, 256, 256), dtype=torch.uint8)
    status = torch.randn(batch, 8)
    theirs = {
        "camera_feature": image / 255.0,
        "lidar_feature": counts / 5.0,
        "status_feature": status[:, COMMAND_LAST],
    }
    return theirs, {"image": image, "lidar": counts, "ego_status": status}


NAMES = {  # of predictions: theirs to ours
    "trajectory": "trajectory",
    "agent_states": "agent_boxes",
    "agent_labels": "agent_logits",
    "bev_semantic_map": "bev_logits",
}


def make_predictions(batch: int) -> Dict[str, torch.Tensor]:
    """Random ones, under our names."""
    return {
        "trajectory": torch.randn(batch, 8, 3),
        "agent_boxes": (torch.rand(batch, 30, 5) - 0.5) * 64,
        "agent_logits": torch.randn(batch, 30),
        "bev_logits": torch.randn(batch, 7, 128, 256),
    }


def make_targets(predicted: torch.Tensor) -> Dict[str, torch.Tensor]:
    """Ours. Every true box lies near one predicted: an L1 cost has ties elsewhere, which rounding would decide."""
    batch = len(predicted)
    boxes = predicted[:, torch.randperm(30)] + 0.1 * torch.randn(batch, 30, 5)
    labels = torch.rand(batch, 30) < 0.3
    labels[0] = False
    return {
        "trajectory": torch.randn(batch, 8, 3),
        "agent_boxes": boxes,
        "agent_labels": labels,
        "bev_semantics": torch.randint(0, 7, (batch, 128, 256)),
    }


def compare_losses(config: Any) -> List[float]:
    """Their loss and ours, of the same predictions."""
    from navsim.agents.transfuser.transfuser_loss import transfuser_loss as their_loss

    ours = make_predictions(batch=4)
    targets = make_targets(ours["agent_boxes"])
    names = {"agent_boxes": "agent_states", "bev_semantics": "bev_semantic_map"}
    their_targets = {names.get(name, name): tensor for name, tensor in targets.items()}
    theirs = {their: ours[our] for their, our in NAMES.items()}
    view = config.latent_rad_thresh if config.latent else None
    loss = transfuser_loss(targets, ours, TransfuserLossConfig(field_of_view=view))["loss"]
    return [float(their_loss(their_targets, theirs, config)), float(loss)]


def measure(models: List[Any], inputs: List[Any], rounds: int) -> List[float]:
    """Median seconds of a forward of each, in turns, after one that does not count."""
    seconds: List[List[float]] = [[] for _ in models]
    for round_ in range(rounds + 1):
        for model, features, times in zip(models, inputs, seconds):
            start = time.perf_counter()
            model(features)
            if round_:
                times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in seconds]


@torch.no_grad()
def main() -> None:
    """Compare, and measure if asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latent", action="store_true")
    parser.add_argument("--time", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config, theirs, ours = make_models(options.latent)
    inputs = make_inputs(2)
    their_output, our_output = theirs(inputs[0]), ours(inputs[1])
    report = {
        "parameters": [sum(parameter.numel() for parameter in model.parameters()) for model in (theirs, ours)],
        "differences": {our: float((their_output[t] - our_output[our]).abs().max()) for t, our in NAMES.items()},
        "losses": compare_losses(config),
    }
    if options.time:
        report["seconds"] = measure([theirs, ours], list(make_inputs(1)), options.time)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
