"""A teacher of Hugging Face: Qwen2.5-VL, which the paper has, or Qwen3-VL, by name.

The 16 action tokens are rows of their own beside the language model's vocabulary, in front and behind: its words keep
their embeddings, and no matrix is resized.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Tuple

import torch
from torch import nn

from latentvla_agent.errors import CheckpointError, ConfigError
from latentvla_agent.models.latent_tokens import ActionVocabulary, Tensors
from latentvla_agent.models.teacher import Teacher

LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True)
class QwenTeacherConfig:
    """`lora_rank` 0: all weights are trained, as in the paper."""

    name: str = "Qwen/Qwen2.5-VL-3B-Instruct"
    lora_rank: int = 0
    vocabulary: ActionVocabulary = field(default_factory=ActionVocabulary)


class WritingState(NamedTuple):
    """Keys and values of what was read and written, which of it is no padding (B, L), and where the next token stands.

    A picture's tokens share places: the next place (B, 1) is another number than the tokens before.
    """

    cache: Any
    mask: torch.Tensor
    place: torch.Tensor


class QwenTeacher(Teacher):
    """Around `network`, a `Qwen…VLForConditionalGeneration` that somebody else made (`open_qwen`).

    Features, as its processor makes them: `qwen_input_ids` and `qwen_attention_mask` (B, P), padded on the left;
    `qwen_pixel_values` (B, patches, numbers) and `qwen_image_grid` (B, 3) of one picture per scene.
    """

    def __init__(self, config: QwenTeacherConfig, network: Any):
        super().__init__(config.vocabulary, int(network.config.get_text_config().hidden_size))
        self.config = config
        # Nobody reads words from it. Where it shares its matrix with the embeddings, safetensors would refuse to write.
        network.lm_head = nn.Identity()
        self.network = add_lora(network, config.lora_rank) if config.lora_rank else network

    def encode(self, features: Tensors) -> Tensors:
        """Nothing can be kept: the tower that sees is trained, too."""
        return {}

    def look(self, features: Tensors) -> Tuple[torch.Tensor, WritingState]:
        """What is seen are the picture's tokens (B, N, width) as the language model gets them."""
        ids, mask = features["qwen_input_ids"], features["qwen_attention_mask"]
        model = self._model()
        found = model(
            input_ids=ids,
            attention_mask=mask,
            pixel_values=features["qwen_pixel_values"].flatten(0, 1),
            image_grid_thw=features["qwen_image_grid"],
            mm_token_type_ids=(ids == model.config.image_token_id).int(),
            use_cache=True,
        )
        place = mask.sum(dim=1, keepdim=True) + model.rope_deltas
        return torch.stack(list(found.image_outputs.pooler_output)), WritingState(found.cache, mask, place)

    def write(self, tokens: torch.Tensor, state: WritingState) -> Tuple[torch.Tensor, WritingState]:
        """See `Teacher`. The cache grows in place: a state can be gone on from once."""
        count = tokens.shape[1]
        mask = torch.cat([state.mask, state.mask.new_ones(len(tokens), count)], dim=1)
        places = (state.place + torch.arange(count, device=tokens.device)).expand(3, -1, -1)  # time, height, width
        found = self._model()(
            inputs_embeds=tokens, attention_mask=mask, position_ids=places, cache=state.cache, use_cache=True
        )
        return found.last_hidden_state, WritingState(found.cache, mask, state.place + count)

    def _model(self) -> Any:
        """What makes hidden states of tokens."""
        network = self.network.get_base_model() if self.config.lora_rank else self.network
        return network.model


def add_lora(network: Any, rank: int) -> Any:
    """The network with low-rank changes of its attention, which alone are trained."""
    try:
        import peft
    except ImportError as error:
        raise ConfigError('LoRA needs peft: pip install "latentvla-agent[qwen]"') from error
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(LORA_TARGETS))
    return peft.get_peft_model(network, config)


def open_qwen(config: QwenTeacherConfig) -> QwenTeacher:
    """The teacher with the published weights of its network, in float32: those of bfloat16 lose the steps of AdamW, and
    match neither our own layers nor what is written where nothing autocasts. Raises `CheckpointError` where there are
    none to be had."""
    try:
        import transformers
    except ImportError as error:
        raise ConfigError('this teacher needs transformers: pip install "latentvla-agent[qwen]"') from error
    try:
        network = transformers.AutoModelForImageTextToText.from_pretrained(config.name).float()
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{config.name}: {reason}") from error
    return QwenTeacher(config, network)
