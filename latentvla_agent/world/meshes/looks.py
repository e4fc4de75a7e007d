"""How an actor looks: its model, by what the log says or by class and size; its colours, by its track token."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.shapes import Colour
from latentvla_agent.world.meshes.templates import Slot

MODELS_OF_CLASS: Dict[str, Tuple[str, ...]] = {
    "vehicle": ("sedan", "hatchback", "suv", "van", "truck", "bus", "motorcycle"),
    "pedestrian": ("adult", "child"),
    "bicycle": ("bicycle", "motorcycle"),
    "traffic_cone": ("cone",),
    "barrier": ("barrier",),
    "czone_sign": ("sign",),
    "generic_object": ("generic",),
}
MODELS = tuple(dict.fromkeys(model for models in MODELS_OF_CLASS.values() for model in models))


@dataclass(frozen=True)
class LookConfig:
    """Sizes in metres at which a class' model changes, and the palettes of sRGB colours with their shares."""

    motorcycle_length: float = 3.0
    motorcycle_width: float = 1.2
    heavy_height: float = 2.6
    bus_length: float = 9.5
    truck_length: float = 6.3
    van_height: float = 1.95
    suv_height: float = 1.68
    hatchback_length: float = 4.3
    child_height: float = 1.3
    heavy_bus_share: float = 0.35  # buses among heavy vehicles too short to tell
    suv_share: float = 0.3  # of the cars whose height doesn't tell
    hatchback_share: float = 0.25
    paints: Tuple[Tuple[Colour, int], ...] = (
        ((236, 237, 238), 24), ((28, 29, 32), 18), ((96, 99, 104), 14), ((172, 176, 180), 14), ((32, 62, 128), 9),
        ((162, 24, 28), 8), ((28, 92, 62), 4), ((196, 184, 158), 4), ((220, 150, 24), 3), ((74, 124, 176), 2),
    )  # fmt: skip
    bus_paints: Tuple[Tuple[Colour, int], ...] = (
        ((196, 36, 32), 3), ((30, 96, 168), 3), ((40, 140, 84), 2), ((232, 180, 40), 2), ((228, 230, 232), 2),
    )  # fmt: skip
    cargo_paints: Tuple[Tuple[Colour, int], ...] = (
        ((234, 235, 232), 6), ((208, 206, 196), 2), ((46, 92, 150), 1), ((214, 130, 40), 1),
    )  # fmt: skip
    bin_paints: Tuple[Tuple[Colour, int], ...] = (((34, 96, 56), 3), ((38, 72, 130), 2), ((92, 94, 98), 1))
    skins: Tuple[Tuple[Colour, int], ...] = (
        ((236, 196, 164), 3), ((214, 168, 130), 3), ((168, 118, 82), 2), ((104, 70, 50), 2),
    )  # fmt: skip
    hairs: Tuple[Tuple[Colour, int], ...] = (
        ((34, 26, 22), 4), ((86, 56, 34), 3), ((188, 152, 92), 2), ((150, 148, 146), 1),
    )  # fmt: skip
    tops: Tuple[Tuple[Colour, int], ...] = (
        ((196, 40, 44), 2), ((40, 76, 150), 3), ((232, 232, 228), 3), ((240, 190, 48), 1), ((44, 120, 76), 2),
        ((52, 54, 60), 2), ((150, 86, 150), 1), ((226, 122, 40), 1), ((122, 172, 206), 2),
    )  # fmt: skip
    trousers: Tuple[Tuple[Colour, int], ...] = (
        ((42, 56, 92), 4), ((36, 36, 40), 3), ((126, 108, 82), 2), ((92, 94, 98), 2),
    )  # fmt: skip
    shoes: Tuple[Tuple[Colour, int], ...] = (((30, 28, 28), 3), ((220, 220, 216), 2), ((110, 70, 44), 1))
    helmets: Tuple[Tuple[Colour, int], ...] = (((232, 234, 232), 3), ((200, 36, 36), 2), ((28, 30, 34), 2))
    brake_lit: Colour = (255, 34, 22)
    brake_dark: Colour = (92, 8, 8)


@lru_cache(maxsize=8192)
def hash_token(token: str) -> npt.NDArray[np.uint16]:
    """Sixteen numbers that look random and depend on the track's token alone."""
    return np.frombuffer(hashlib.sha256(token.encode()).digest(), "<u2")


def choose_model(name: str, size: Sequence[float], digest: npt.NDArray[np.uint16], config: LookConfig) -> str:
    """The model for a box of class `name` and `size` (length, width, height), where the log doesn't say."""
    if name not in MODELS_OF_CLASS:
        raise DataError(f"gt_names: expected one of {', '.join(MODELS_OF_CLASS)}, got {name!r}")
    if name == "vehicle":
        return _choose_vehicle(size, float(digest[15]) / 65536.0, config)
    if name == "pedestrian":
        return "child" if size[2] < config.child_height else "adult"
    return MODELS_OF_CLASS[name][0]


def _choose_vehicle(size: Sequence[float], chance: float, config: LookConfig) -> str:
    length, width, height = size
    if length < config.motorcycle_length and width < config.motorcycle_width:
        return "motorcycle"
    if height > config.heavy_height or length > config.truck_length:
        is_bus = length > config.bus_length or chance < config.heavy_bus_share
        return "bus" if is_bus else "truck"
    if height > config.van_height:
        return "van"
    if height > config.suv_height or chance < config.suv_share:
        return "suv"
    return (
        "hatchback"
        if length < config.hatchback_length or chance < config.suv_share + config.hatchback_share
        else "sedan"
    )


def read_models(frame: Dict[str, Any], tokens: Sequence[str], config: LookConfig) -> List[str]:
    """The model of each box: `frame["world"]["models"]` where there is one, else by class and size."""
    boxes, names = frame["anns"]["gt_boxes"], frame["anns"]["gt_names"]
    given: Optional[Sequence[str]] = frame.get("world", {}).get("models")
    if given is None:
        return [choose_model(str(n), box[3:6], hash_token(t), config) for n, box, t in zip(names, boxes, tokens)]
    if len(given) != len(boxes):
        raise DataError(f"world.models: expected {len(boxes)} entries as in gt_boxes, got {len(given)}")
    unknown = sorted(set(given) - set(MODELS))
    if unknown:
        raise DataError(f"world.models: expected {', '.join(MODELS)}, got {', '.join(unknown)}")
    return list(given)


def paint_slots(
    model: str, digest: npt.NDArray[np.uint16], is_braking: bool, config: LookConfig
) -> npt.NDArray[np.uint8]:
    """Colours (number of slots, 3) of an actor."""
    paints = {"bus": config.bus_paints, "generic": config.bin_paints}.get(model, config.paints)
    seconds = {"truck": config.cargo_paints, "bus": config.paints}.get(model, config.helmets)
    colours = np.zeros((len(Slot), 3), np.uint8)
    palettes = {
        Slot.PAINT: paints, Slot.SECOND: seconds, Slot.SKIN: config.skins, Slot.HAIR: config.hairs,
        Slot.TOP: config.tops, Slot.TROUSERS: config.trousers, Slot.SHOES: config.shoes,
    }  # fmt: skip
    for slot, palette in palettes.items():
        colours[slot] = _pick(palette, int(digest[slot]))
    colours[Slot.BRAKE] = config.brake_lit if is_braking else config.brake_dark
    return colours


def _pick(palette: Tuple[Tuple[Colour, int], ...], number: int) -> Colour:
    left = number % sum(share for _, share in palette)
    for colour, share in palette:
        left -= share
        if left < 0:
            return colour
    raise AssertionError("shares are positive")
