"""PixelSNAIL's blocks: of convolutions, and of attention, that see only the codes before each
position. Features are (h, w, B, C), so that a 1×1 convolution is an `nn.Linear`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from pipeline.models.causal_conv import CausalConv
from pipeline.models.dropout import dropout

HEAD_DIM = 16  # the key's width in the PixelSNAIL paper


class GatedResBlock(nn.Module):
    """x + glu(conv(elu(conv(elu(x)))) + text + upper): a row's text and a cell's upper code in it.

    The second convolution starts at zero: the block starts as the identity, which does for depth
    what the weight normalisation of the paper does, and costs nothing.
    """

    def __init__(
        self,
        channel: int,
        res_channel: int,
        *,
        kernel_size: int,
        dropout: float,
        text: bool,
        upper: bool,
    ) -> None:
        super().__init__()
        taps = conv_taps(kernel_size)
        self.conv_in = CausalConv(channel, res_channel, **taps, current=True)
        self.conv_out = CausalConv(res_channel, 2 * channel, **taps, current=True)
        nn.init.zeros_(self.conv_out.above)
        nn.init.zeros_(self.conv_out.beside)
        self.text = nn.Linear(channel, 2 * channel, bias=False) if text else None
        self.upper = nn.Linear(channel, 2 * channel, bias=False) if upper else None
        self.dropout = dropout

    def forward(self, x: Tensor, text: Tensor | None, upper: Tensor | None) -> Tensor:
        hidden = F.elu(self.conv_in(F.elu(x)))  # (h, w, B, R)
        out = self.conv_out(dropout(hidden, self.dropout, training=self.training))  # (h, w, B, 2C)
        if self.text is not None:
            out = out + self.text(text)
        if self.upper is not None:
            out = out + self.upper(upper)
        return x + F.glu(out, dim=-1)


def conv_taps(kernel_size: int) -> dict[str, int]:
    """What a kernel's convolution reads beside the position itself, as `CausalConv` names it.

    Odd: as the well-known port, centred columns. Even: as the paper, nothing to the right.
    """
    right = kernel_size // 2 if kernel_size % 2 else 0
    return {"up": kernel_size - 1, "left": kernel_size - 1 - right, "right": right}


class AttentionBlock(nn.Module):
    """Merges into the features what earlier codes, and the text's tokens, have to say.

    As in the paper, a key knows its position's code itself beside its features, and a position sees
    only the keys strictly before it. So keys stand one place late, behind a learned first one, and
    the built-in causal mask is the right one.
    """

    def __init__(self, channel: int, *, attention: bool, token_dim: int, dropout: float) -> None:
        super().__init__()
        self.n_head = max(1, channel // (2 * HEAD_DIM))
        self.dropout = dropout
        self.attention, self.cross_attention = attention, token_dim > 0
        width = self.n_head * HEAD_DIM
        sources = attention + self.cross_attention
        self.query = nn.Linear(channel, sources * width)
        self.query_position = nn.Linear(channel, sources * width, bias=False)
        if attention:
            self.key_value = nn.Linear(2 * channel, 2 * width)
            self.key_value_position = nn.Linear(channel, 2 * width, bias=False)
            self.first_key_value = nn.Parameter(torch.zeros(2 * width))
        if self.cross_attention:
            self.token_key_value = nn.Linear(token_dim, 2 * width)
        self.proj_in = nn.Linear(channel + sources * width, channel)
        self.proj_out = nn.Linear(channel, 2 * channel)
        nn.init.zeros_(self.proj_out.weight)

    def forward(
        self, x: Tensor, raw: Tensor, background: Tensor, tokens: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        """Merge.

        Args:
            x: features (h, w, B, C), which depend on codes before their position.
            raw: embeddings of the codes themselves, (h, w, B, C).
            background: embeddings of the positions, (h, w, 1, C).
            tokens: the text's states (B, T, token_dim), with `mask` (B, T), True = a token.
        """
        h = x.shape[0]
        query = self.query(x) + self.query_position(background)
        query = rearrange(query, "h w b (s n d) -> s b n (h w) d", n=self.n_head, d=HEAD_DIM)
        queries = list(query)
        found = [F.elu(x)]
        if self.attention:
            key_value = self.key_value(torch.cat([x, raw], dim=-1))
            key_value = key_value + self.key_value_position(background)
            key_value = key_value.flatten(0, 1)  # (N, B, 2D)
            first = self.first_key_value.to(key_value.dtype).expand_as(key_value[:1])
            key_value = torch.cat([first, key_value[:-1]])
            key, value = rearrange(key_value, "l b (s n d) -> s b n l d", s=2, n=self.n_head)
            mixed = _attend(queries.pop(0), key, value, is_causal=True)
            found.append(rearrange(mixed, "b n (h w) d -> h w b (n d)", h=h))
        if self.cross_attention:
            assert tokens is not None
            assert mask is not None
            key, value = self.token_keys(tokens)
            mixed = _attend(queries.pop(0), key, value, attn_mask=mask[:, None, None])
            found.append(rearrange(mixed, "b n (h w) d -> h w b (n d)", h=h))
        hidden = F.elu(self.proj_in(torch.cat(found, dim=-1)))
        return x + F.glu(
            self.proj_out(dropout(hidden, self.dropout, training=self.training)), dim=-1
        )

    def token_keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the text's tokens, (B, heads, T, d) each."""
        key, value = rearrange(
            self.token_key_value(tokens), "b t (s n d) -> s b n t d", s=2, n=self.n_head
        )
        return key, value


def _attend(query: Tensor, key: Tensor, value: Tensor, **mask: Any) -> Tensor:
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, **mask)
    # A processor's backward pass through it takes twice as long in bfloat16 as in float32.
    dtype = torch.promote_types(query.dtype, torch.float32)
    with torch.autocast("cpu", enabled=False):
        found = F.scaled_dot_product_attention(
            query.to(dtype), key.to(dtype), value.to(dtype), **mask
        )
    return found.to(query.dtype)
