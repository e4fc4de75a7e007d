"""open_clip's multimodal decoder, token by token: what was read once is never read again."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Tuple

import torch
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention

from latentvla_agent.models.blocks import Memory


class DecoderState(NamedTuple):
    """Per layer: keys and values of the tokens so far (None before the first), and of the pictures."""

    written: List[Optional[Memory]]
    seen: List[Memory]


class CachedDecoder(nn.Module):
    """Runs an `open_clip.transformer.MultimodalTransformer`, a model's own or a new one, with its weights."""

    def __init__(self, transformer: Any):
        super().__init__()
        transformer.text_projection = None  # to a vocabulary of words, which nobody asks for
        self.transformer = transformer

    @property
    def width(self) -> int:
        """Of tokens, pictures' among them."""
        return int(self.transformer.ln_final.normalized_shape[0])

    def look(self, visual: torch.Tensor) -> DecoderState:
        """The state before the first token; `visual` (B, N, width)."""
        layers = self.transformer.cross_attn
        seen = [Memory(*_project(layer.attn, layer.ln_1_kv(visual), (1, 2))) for layer in layers]
        return DecoderState([None] * len(layers), seen)

    def write(self, tokens: torch.Tensor, state: DecoderState) -> Tuple[torch.Tensor, DecoderState]:
        """What becomes of the next tokens (B, L, width), which see those before them, and the state after them."""
        written: List[Optional[Memory]] = []
        layers = zip(self.transformer.resblocks, self.transformer.cross_attn, state.written, state.seen)
        for own, cross, before, seen in layers:
            queries, keys, values = _project(own.attn, own.ln_1(tokens), (0, 1, 2))
            if before is not None:
                keys, values = torch.cat([before.keys, keys], dim=2), torch.cat([before.values, values], dim=2)
            written.append(Memory(keys, values))
            tokens = _add(own, tokens, queries, Memory(keys, values), causal=True)
            (queries,) = _project(cross.attn, cross.ln_1(tokens), (0,))
            tokens = _add(cross, tokens, queries, seen, causal=False)
        return self.transformer.ln_final(tokens), DecoderState(written, state.seen)


def _project(attention: nn.MultiheadAttention, tokens: torch.Tensor, parts: Tuple[int, ...]) -> List[torch.Tensor]:
    """Queries (0), keys (1), values (2), (B, heads, L, d) each, of tokens (B, L, width)."""
    width = tokens.shape[-1]
    rows = slice(parts[0] * width, (parts[-1] + 1) * width)
    projected = linear(tokens, attention.in_proj_weight[rows], attention.in_proj_bias[rows])
    split = projected.unflatten(2, (len(parts), attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return list(split)


def _add(block: Any, tokens: torch.Tensor, queries: torch.Tensor, memory: Memory, causal: bool) -> torch.Tensor:
    """A block of open_clip behind its first projection."""
    mask = None
    if causal:
        count, total = queries.shape[2], memory.keys.shape[2]
        mask = torch.ones(count, total, dtype=torch.bool, device=queries.device).tril(total - count)
    seen = scaled_dot_product_attention(queries, memory.keys, memory.values, attn_mask=mask)
    tokens = tokens + block.ls_1(block.attn.out_proj(seen.transpose(1, 2).flatten(2)))
    changed: torch.Tensor = tokens + block.ls_2(block.mlp(block.ln_2(tokens)))
    return changed
