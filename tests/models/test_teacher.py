"""Teachers of open_clip: towers of three kinds, one interface; decoding with a cache is decoding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Dict, Tuple

import pytest
import torch

from latentvla_agent.errors import CheckpointError, ConfigError
from latentvla_agent.models.latent_tokens import Tensors
from latentvla_agent.models.open_clip_teacher import OpenClipTeacher, OpenClipTeacherConfig, load_pretrained_towers

open_clip = pytest.importorskip("open_clip")
open_clip.add_model_config(Path(__file__).parent / "open_clip_models")

SIZES: Dict[str, Tuple[Tuple[int, int], int]] = {  # of pictures, and the length of a text
    "coca-mini": ((32, 32), 16),
    "clip-mini": ((32, 32), 16),
    "latentvla-tiny": ((192, 352), 48),
}
SMALL = OpenClipTeacherConfig(
    name="coca-mini", decoder_layers=2, decoder_width=24, decoder_heads=2, prompt_length=8, num_cameras=2
)


def make_teacher(config: OpenClipTeacherConfig) -> OpenClipTeacher:
    torch.manual_seed(0)
    return OpenClipTeacher(config).eval()


def make_features(name: str, batch: int = 2) -> Tensors:
    size, length = SIZES[name]
    generator = torch.Generator().manual_seed(1)
    return {
        "teacher_images": torch.randint(0, 256, (batch, 2, 3, *size), dtype=torch.uint8, generator=generator),
        "teacher_prompt": torch.randint(1, 500, (batch, length), generator=generator),
        "ego_status": torch.randn(batch, 8, generator=generator),
    }


@pytest.mark.parametrize("name", SIZES)
def test_what_is_written_with_a_cache_is_what_is_written_at_once(name: str) -> None:
    teacher, features = make_teacher(replace(SMALL, name=name)), make_features(name)
    with torch.no_grad():
        decoded = teacher(features)
        forced = teacher(features, decoded.logits.argmax(dim=-1))
    assert decoded.action.shape == (2, 12, teacher.width) and decoded.logits.shape == (2, 12, 16)
    assert decoded.visual.shape[0] == 2 and decoded.visual.shape[2] == teacher.width
    for one, other in zip(decoded, forced):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_the_cached_decoder_is_open_clips_own() -> None:
    teacher = make_teacher(SMALL)
    visual, tokens = torch.randn(2, 7, 32), torch.randn(2, 6, 32)
    expected = teacher.decoder.transformer(visual, tokens)
    found, state = teacher.decoder.write(tokens[:, :4], teacher.decoder.look(visual))
    rest, _ = teacher.decoder.write(tokens[:, 4:], state)
    torch.testing.assert_close(torch.cat([found, rest], dim=1), expected, atol=1e-5, rtol=1e-4)


def test_it_is_known_where_in_the_picture_something_is() -> None:
    """A convolution gives the same for the same thing anywhere; a transformer's tower tells places itself."""
    teacher, features = make_teacher(replace(SMALL, name="latentvla-tiny")), make_features("latentvla-tiny")
    assert teacher.places.shape == (2, 6 * 11, teacher.width) and make_teacher(SMALL).places.shape == (2, 1, 32)
    with torch.no_grad():
        seen = teacher.encode(features)["teacher_features"]
        here, there = ({**features, "teacher_features": tokens} for tokens in (seen, seen.roll(5, dims=2)))
        assert (teacher(here).action - teacher(there).action).abs().max() > 1e-3


def test_a_code_is_predicted_from_those_before_it_alone() -> None:
    teacher, features = make_teacher(SMALL), make_features("coca-mini")
    codes = torch.zeros(2, 12, dtype=torch.long)
    changed = codes.clone()
    changed[:, 4] = 9
    before, after = teacher(features, codes).logits, teacher(features, changed).logits
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert (before[:, 5:] - after[:, 5:]).abs().amax(dim=(0, 2)).min() > 1e-6


@pytest.mark.parametrize("language, name", (("text", "teacher_prompt"), ("tokens", "ego_status")))
def test_command_and_ego_state_reach_it_as_text_or_as_tokens(language: str, name: str) -> None:
    teacher, features = make_teacher(replace(SMALL, language=language)), make_features("coca-mini")
    before = teacher(features).logits
    for changed in ("teacher_images", name):
        after = teacher({**features, changed: features[changed].flip(0)}).logits
        assert (before - after).abs().max() > 1e-6, changed
    other = {"teacher_prompt", "ego_status"} - {name}
    assert torch.equal(teacher({key: value for key, value in features.items() if key not in other}).logits, before)


def test_a_cache_of_the_frozen_tower_gives_the_same() -> None:
    teacher, features = make_teacher(SMALL), make_features("coca-mini")
    cached = {**teacher.encode(features), "teacher_prompt": features["teacher_prompt"]}
    torch.testing.assert_close(teacher(cached).logits, teacher(features).logits)


def test_what_trains() -> None:
    teacher, features = make_teacher(SMALL).train(), make_features("coca-mini")
    assert not teacher.visual.training and teacher.decoder.training
    teacher(features, torch.randint(0, 16, (2, 12))).logits.square().mean().backward()
    without = {name for name, own in teacher.named_parameters() if own.grad is None}
    assert without and all(name.startswith(("visual.", "text.cls_emb", "text.ln_final")) for name in without)
    trained = make_teacher(replace(SMALL, frozen_tower=False)).train()
    assert trained.visual.training and any(own.requires_grad for own in trained.visual.parameters())


def test_a_frozen_teacher_stays_frozen_whatever_its_parent_does() -> None:
    teacher = make_teacher(SMALL)
    teacher.freeze()
    parent = torch.nn.ModuleList([teacher]).train()
    assert parent.training and not any(module.training for module in teacher.modules())
    assert not any(own.requires_grad for own in teacher.parameters())


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match="expected one of text, tokens, got 'speech'"):
        replace(SMALL, language="speech")
    with pytest.raises(ConfigError, match="no model 'ViT-B-31'"):
        make_teacher(replace(SMALL, name="ViT-B-31"))


def test_weights_are_read_in_a_step_of_their_own(tmp_path: Path) -> None:
    torch.manual_seed(5)
    published = open_clip.create_model("coca-mini", pretrained_text=False, force_custom_text=True)
    torch.save(published.state_dict(), tmp_path / "published.pt")
    teacher = make_teacher(replace(SMALL, pretrained=str(tmp_path / "published.pt")))
    tower, text, decoder = (
        "visual.class_embedding",
        "text.token_embedding.weight",
        "decoder.transformer.ln_final.weight",
    )
    theirs = published.state_dict()
    assert not torch.equal(teacher.state_dict()[tower], theirs["visual.class_embedding"])
    theirs["text_decoder.ln_final.weight"].fill_(7.0)
    torch.save(theirs, tmp_path / "published.pt")
    load_pretrained_towers(teacher)
    own = teacher.state_dict()
    assert torch.equal(own[tower], theirs["visual.class_embedding"]) and bool((own[decoder] == 7.0).all())
    assert torch.equal(own[text], theirs["text.token_embedding.weight"])


def test_missing_weights_are_an_error() -> None:
    teacher = make_teacher(SMALL)
    teacher.config = replace(SMALL, pretrained="no-such-tag")
    with pytest.raises(CheckpointError, match="coca-mini, no-such-tag"):
        load_pretrained_towers(teacher)
