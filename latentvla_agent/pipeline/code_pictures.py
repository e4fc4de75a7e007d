"""What each latent action looks like: how the ego moves where it is written, and pictures in which it is."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import numpy as np
import torch

from latentvla_agent.data.files import write_atomically
from latentvla_agent.evaluation.html_tables import write_cards
from latentvla_agent.evaluation.report_charts import pick_color
from latentvla_agent.evaluation.report_template import PAGE, STYLE
from latentvla_agent.features.ego_status import EgoStatusFeatures
from latentvla_agent.features.windows import WindowTargets
from latentvla_agent.models.latent_tokens import ActionVocabulary
from latentvla_agent.training.latent_action_report import MOTIONS
from latentvla_agent.training.scene_features import SceneDataset, SceneSet

PICTURES = 3  # of each code
DOTS = 60  # single motions that are drawn beside the mean one
PICTURE_SIZE = (320, 180)
AHEAD, ASIDE = 16.0, 5.0  # m that a drawing shows in a transition


class Carriers(NamedTuple):
    """Transitions with a code: scene and transition of each, which of its slots have it (N, Q), and its motion."""

    scene: torch.Tensor
    transition: torch.Tensor
    slots: torch.Tensor
    motion: torch.Tensor


def write_code_page(
    path: Path,
    scenes: SceneSet,
    codes: torch.Tensor,
    motion: torch.Tensor,
    window: WindowTargets,
    words: ActionVocabulary,
) -> None:
    """A page of all codes. `codes` (scenes, slots) and `motion` (scenes, transitions, 7) in the order of `scenes`."""
    frames = SceneDataset(scenes, scenes.refs, EgoStatusFeatures(), [window], None)
    figures = [_show_code(code, find_carriers(code, codes, motion, words), frames) for code in range(words.num_codes)]
    title = f"Latent actions of {scenes.name}"
    note = (
        "<p>Each code: where the ego is after one transition in which one of the slots has it. Dots are single "
        "transitions, lines the means of those with the code in the first slot, the second and so on.</p>"
    )
    body = f"<h1>{title}</h1>{note}{write_cards(figures)}"
    write_atomically(path, PAGE.substitute(title=title, style=STYLE, body=body).encode())


def find_carriers(code: int, codes: torch.Tensor, motion: torch.Tensor, words: ActionVocabulary) -> Carriers:
    """Those of one code, the ones first that have it most often."""
    by_transition = codes.unflatten(1, (words.num_transitions, words.codes_per_transition)) == code
    count = by_transition.sum(dim=2)
    scene, transition = count.nonzero(as_tuple=True)
    order = count[scene, transition].argsort(descending=True, stable=True)
    scene, transition = scene[order], transition[order]
    return Carriers(scene, transition, by_transition[scene, transition], motion[scene, transition, : len(MOTIONS)])


def _show_code(code: int, carriers: Carriers, frames: SceneDataset) -> str:
    """A figure: drawing, numbers and pictures."""
    number = len(carriers.scene)
    if number == 0:
        return f"<figcaption>code {code}: nowhere</figcaption>"
    mean = carriers.motion.mean(dim=0).tolist()
    caption = (
        f"code {code}: {number} transitions, mean {mean[0]:.1f} m ahead, {mean[1]:+.2f} m aside, {mean[2]:+.3f} rad"
    )
    seen: Dict[int, int] = {}
    for scene, transition in zip(carriers.scene.tolist(), carriers.transition.tolist()):
        seen.setdefault(scene, transition)
        if len(seen) == PICTURES:
            break
    pictures = "".join(_embed(frames[scene]["frames"][transition]) for scene, transition in seen.items())
    return f"{draw_motions(carriers)}{pictures}<figcaption>{caption}</figcaption>"


def draw_motions(carriers: Carriers) -> str:
    """An `<svg>`, metres, ahead is up."""
    shapes: List[str] = []
    for x, y, _ in carriers.motion[:: max(1, len(carriers.motion) // DOTS)].tolist():
        shapes.append(f'<circle cx="{-y:.2f}" cy="{-x:.2f}" r=".15" fill="var(--soft)" opacity=".5"/>')
    for slot in range(carriers.slots.shape[1]):
        own = carriers.motion[carriers.slots[:, slot]]
        if len(own):
            x, y, _ = own.mean(dim=0).tolist()
            line = f'd="M0 0Q0 {-x / 2:.2f} {-y:.2f} {-x:.2f}" stroke="{pick_color(slot)}"'
            shapes.append(f'<path {line} fill="none" stroke-width=".25"/>')
    box = f"{-ASIDE} {-AHEAD} {2 * ASIDE} {AHEAD + 1}"
    return f'<svg viewBox="{box}" role="img" style="max-height:16rem">{"".join(shapes)}</svg>'


def _embed(frame: torch.Tensor) -> str:
    """An `<img>` of a picture (3, H, W) uint8."""
    from PIL import Image

    pixels: Any = np.ascontiguousarray(frame.permute(1, 2, 0).numpy())
    content = io.BytesIO()
    Image.fromarray(pixels).resize(PICTURE_SIZE).save(content, "JPEG", quality=80)
    data = base64.b64encode(content.getvalue()).decode()
    return f'<img alt="" style="width:100%" src="data:image/jpeg;base64,{data}">'
