"""Qwen as a teacher, in miniature, without the network: the same interface as open_clip's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
import torch

from latentvla_agent.errors import CheckpointError
from latentvla_agent.models.latent_tokens import Tensors
from latentvla_agent.models.qwen_teacher import QwenTeacher, QwenTeacherConfig, open_qwen
from latentvla_agent.models.weights import load_weights, write_weights
from latentvla_agent.pipeline.scenes import hash_weights

pytestmark = pytest.mark.slow  # transformers takes ten seconds to import
IMAGE, START, END = 150, 152, 153  # token ids
GRID = (1, 4, 6)  # patches; four of them make a token

TEXT = {
    "vocab_size": 200,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
IDS = {"image_token_id": IMAGE, "video_token_id": 151, "vision_start_token_id": START, "vision_end_token_id": END}


def make_network(kind: str, tied: bool = False) -> Any:
    """A network of the published class with random weights; `tied`: words come out by the matrix they go in by."""
    transformers = pytest.importorskip("transformers")
    vision: Dict[str, Any] = {"depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2}
    vision.update(out_hidden_size=32, patch_size=14, spatial_merge_size=2)
    torch.manual_seed(0)
    if kind == "Qwen2_5_VL":
        text = {**TEXT, "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}
        vision.update(window_size=56, fullatt_block_indexes=[1])
        config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied, **IDS)
    else:
        text = {**TEXT, "head_dim": 8, "rope_scaling": {"rope_type": "default", "mrope_section": [2, 1, 1]}}
        vision.update(deepstack_visual_indexes=[0], num_position_embeddings=64)
        config = transformers.Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied, **IDS)
    return getattr(transformers, f"{kind}ForConditionalGeneration")(config)


def make_features(padding: int = 0) -> Tensors:
    """Two scenes; `padding` tokens before each prompt."""
    generator = torch.Generator().manual_seed(1)
    picture = torch.tensor([START, *[IMAGE] * 6, END]).expand(2, -1)
    words = torch.randint(1, 100, (2, 5), generator=generator)
    ids = torch.cat([torch.zeros(2, padding, dtype=torch.long), picture, words], dim=1)
    mask = torch.ones_like(ids)
    mask[:, :padding] = 0
    return {
        "qwen_input_ids": ids,
        "qwen_attention_mask": mask,
        "qwen_pixel_values": torch.randn(2, 24, 3 * 2 * 14 * 14, generator=generator),
        "qwen_image_grid": torch.tensor([GRID] * 2),
    }


@pytest.mark.parametrize("kind", ("Qwen2_5_VL", "Qwen3VL"))
def test_what_is_written_with_a_cache_is_what_is_written_at_once(kind: str) -> None:
    teacher = QwenTeacher(QwenTeacherConfig(), make_network(kind)).eval()
    features = make_features()
    with torch.no_grad():
        decoded = teacher(features)
        forced = teacher(features, decoded.logits.argmax(dim=-1))
    assert decoded.visual.shape == (2, 6, 32) and decoded.action.shape == (2, 12, 32)
    for one, other in zip(decoded, forced):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_padding_changes_nothing_and_everything_else_matters() -> None:
    teacher = QwenTeacher(QwenTeacherConfig(), make_network("Qwen2_5_VL")).eval()
    with torch.no_grad():
        expected = teacher(make_features()).logits
        torch.testing.assert_close(teacher(make_features(padding=3)).logits, expected, atol=1e-4, rtol=1e-3)
        for name in ("qwen_input_ids", "qwen_pixel_values"):
            features = make_features()
            features[name] = features[name].flip(0)
            assert (teacher(features).logits - expected).abs().max() > 1e-5, name


def test_lora_trains_a_few_weights_and_the_action_tokens() -> None:
    pytest.importorskip("peft")
    teacher = QwenTeacher(QwenTeacherConfig(lora_rank=2), make_network("Qwen2_5_VL")).train()
    teacher(make_features(), torch.randint(0, 16, (2, 12))).logits.square().mean().backward()
    trained = {name for name, own in teacher.named_parameters() if own.grad is not None and own.grad.any()}
    assert {"slots", "codes.weight", "logits.weight"} <= trained
    assert all("lora_" in name for name in trained if name.startswith("network."))
    assert any("lora_" in name for name in trained)


def test_full_fine_tuning_trains_all_and_a_frozen_teacher_nothing() -> None:
    teacher = QwenTeacher(QwenTeacherConfig(), make_network("Qwen2_5_VL")).train()
    teacher(make_features(), torch.randint(0, 16, (2, 12))).logits.square().mean().backward()
    assert {name for name, own in teacher.named_parameters() if own.grad is None} == set()
    teacher.freeze()
    torch.nn.ModuleList([teacher]).train()
    assert not any(module.training for module in teacher.modules())


@pytest.mark.parametrize("rank", (0, 2))
def test_a_published_network_in_half_precision_is_trained_written_and_read(tmp_path: Path, rank: int) -> None:
    if rank:
        pytest.importorskip("peft")
    make_network("Qwen2_5_VL", tied=True).to(torch.bfloat16).save_pretrained(tmp_path / "published")
    config = QwenTeacherConfig(name=str(tmp_path / "published"), lora_rank=rank)
    teacher, features, codes = open_qwen(config), make_features(), torch.randint(0, 16, (2, 12))
    assert {own.dtype for own in teacher.parameters()} == {torch.float32}
    with torch.autocast("cpu", dtype=torch.bfloat16):  # as in a training
        teacher.train()(features, codes).logits.float().square().mean().backward()
    torch.optim.AdamW(teacher.parameters(), lr=1e-5).step()
    write_weights(teacher, tmp_path / "model.safetensors")
    again = open_qwen(config)
    load_weights(again, str(tmp_path / "model.safetensors"))
    assert hash_weights([again], "") == hash_weights([teacher], "") != hash_weights([open_qwen(config)], "")
    with torch.no_grad():  # as it is judged, and as its tokens are cached
        torch.testing.assert_close(again.eval()(features), teacher.eval()(features))


def test_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")

    def fail(name: str) -> None:
        raise OSError("no connection")

    monkeypatch.setattr(transformers.AutoModelForImageTextToText, "from_pretrained", fail)
    with pytest.raises(CheckpointError, match="Qwen/Qwen2.5-VL-3B-Instruct: no connection"):
        open_qwen(QwenTeacherConfig())
