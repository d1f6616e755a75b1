"""PixelSNAIL, a code at a time: each code's work is done once.

When a row of the grid begins, every layer's rows above are final, so what they give to a
convolution is one matrix product for the whole row; for each code only the taps in its own row
remain. Keys and values are kept (a KV cache); everything that codes do not change is computed once;
buffers, and views of them for every column, are made once, and a step writes in place (`out=`). Two
rules of the layers make it exact: a convolution reads elu'd features of its own position, above and
left, and attention reads keys of earlier positions.

The specification is `PixelSNAIL.forward`; tests hold the two together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from pipeline.models.causal import HEAD_DIM, AttentionBlock, GatedResBlock
from pipeline.models.causal_conv import CausalConv
from pipeline.models.pixelsnail import Context, PixelSNAIL


class CachedPixelSNAIL:
    """Steps through grids in raster order: `begin`, then for each row `start_row`, then for each
    column `logits` and `take`.

    Args:
        model: its weights must not change meanwhile.
        batch: how many grids are sampled side by side.
    """

    def __init__(self, model: PixelSNAIL, *, batch: int) -> None:
        weight = model.out.weight
        new = _Factory(weight.dtype, weight.device)
        w = model.shape[1]
        channel = model.config.channel
        self.embedding, self.out = model.embedding.weight, model.out
        self.out_weight = model.out.weight.t().contiguous()
        self.width = w
        self.raw = new(batch, channel)  # the last code's embedding
        self.x = new(batch, channel)  # features of the present position
        self.elu = new(batch, channel)
        self.logits_out = new(batch, model.n_class)
        self.conv_in = _Conv(model.conv_in, new, batch=batch, width=w)
        self.groups = [
            [_Block(block, new, batch=batch, width=w) for block in group]  # type: ignore[attr-defined]
            for group in model.groups
        ]
        self.keys = _KVCache(model, new, batch=batch) if model.config.attention else None
        self.merges = [
            _Merge(merge, model, self.keys, number, new, batch=batch)  # type: ignore[arg-type]
            for number, merge in enumerate(model.merges)
        ]

    def begin(self, context: Context) -> None:
        """Start new grids; the context must have the shapes of the last, for it takes its place."""
        self.conv_in.begin()
        for group in self.groups:
            for block in group:
                block.begin(context)
        for merge in self.merges:
            merge.begin(context)

    def start_row(self, row: int) -> None:
        """Go to the next row: sum up, in every convolution, what the finished rows give to it."""
        self.conv_in.start_row(row)
        for group in self.groups:
            for block in group:
                block.start_row(row)

    def logits(self, row: int, column: int) -> Tensor:
        """Logits (batch, n_class) of the code there; the next call overwrites them."""
        x, position = self.x, row * self.width + column
        self.conv_in.step(column, x)
        for number, group in enumerate(self.groups):
            for block in group:
                block.step(column, x)
            if self.merges:
                self.merges[number].step(position, x)
        _elu(x, self.elu)
        return torch.addmm(self.out.bias, self.elu, self.out_weight, out=self.logits_out)

    def take(self, row: int, column: int, codes: Tensor) -> None:
        """Take in the codes (batch,) that stand there."""
        torch.index_select(self.embedding, 0, codes, out=self.raw)
        self.conv_in.inputs[column].copy_(self.raw)
        if self.keys is not None:
            self.keys.append(row * self.width + column, self.raw)


class _Factory:
    """Zeros of one type on one device."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device

    def __call__(self, *shape: int) -> Tensor:
        return torch.zeros(*shape, dtype=self.dtype, device=self.device)


class _Conv:
    """A causal convolution over the present row, with what earlier rows give to it and to later."""

    def __init__(self, conv: CausalConv, new: _Factory, *, batch: int, width: int) -> None:
        self.bias = conv.bias.detach()
        c, o = conv.beside.shape[0], conv.beside.shape[1]
        across = conv.left + conv.right + 1
        channel = conv.above.shape[1] // across
        beside = c // channel
        self.weight = conv.beside.detach()
        # (taps·C, up·O): for a finished row, what it gives to the rows 1, 2, … below it.
        self.weight_above = rearrange(conv.above.detach(), "u k o -> k (u o)").contiguous()

        # The present row's inputs between the zeros that stand beyond the grid's edges.
        padded = new(batch, conv.left + width + conv.right, channel)
        stride = padded.stride()
        self.inputs = list(padded[:, conv.left : conv.left + width].unbind(1))
        # The taps that a position reads lie side by side: the product reads them where they are.
        self.windows = [
            padded.as_strided((batch, c), (stride[0], 1), column * channel)
            for column in range(width)
        ]
        assert beside <= across
        self.across = padded.as_strided((batch, width, across * channel), (stride[0], channel, 1))
        self.columns = new(batch * width, across * channel)

        # Slot u collects for the row u below the present one; the last never changes: it is where
        # a row that nothing has been given to yet comes from. Two, as one is made from the other.
        self.slots = slots = new(2, batch, width, conv.up + 1, o)
        flat = slots.view(2, batch * width, -1)
        self.pending = [(flat[i, :, o:], flat[1 - i, :, : conv.up * o]) for i in (0, 1)]
        self.present = [slots[i, :, :, 0] for i in (0, 1)]  # (batch, width, O)
        self.given = [list(present.unbind(1)) for present in self.present]
        self.now = self.given[0]

    def begin(self, text: Tensor | None = None) -> None:
        """A new grid; `text` (batch, O) is added everywhere, as the bias is."""
        fixed = self.bias if text is None else self.bias + text
        self.slots.copy_(fixed.view(-1, 1, 1, fixed.shape[-1]))

    def start_row(self, row: int, extra: Tensor | None = None) -> None:
        """Hand the finished row down; `extra` (batch, width, O) is this row's alone."""
        side = row % 2
        if row > 0:
            later, out = self.pending[1 - side]
            self.columns.view_as(self.across).copy_(self.across)
            torch.addmm(later, self.columns, self.weight_above, out=out)
        if extra is not None:
            self.present[side] += extra
        self.now = self.given[side]

    def step(self, column: int, out: Tensor) -> None:
        torch.addmm(self.now[column], self.windows[column], self.weight, out=out)


class _Block:
    """A `GatedResBlock`."""

    def __init__(self, block: GatedResBlock, new: _Factory, *, batch: int, width: int) -> None:
        self.block = block
        self.upper: Tensor | None = None  # (h, batch, width, 2C)
        self.conv_in = _Conv(block.conv_in, new, batch=batch, width=width)
        self.conv_out = _Conv(block.conv_out, new, batch=batch, width=width)
        self.hidden = new(batch, block.conv_in.bias.shape[0])
        self.gated = new(batch, block.conv_out.bias.shape[0])
        self.branch = new(batch, block.conv_out.bias.shape[0] // 2)

    def begin(self, context: Context) -> None:
        text = None
        if self.block.text is not None:
            assert context.text is not None
            text = self.block.text(context.text)  # (batch, 2C)
        if self.block.upper is not None:
            assert context.upper is not None
            upper = rearrange(self.block.upper(context.upper), "h w b c -> h b w c")
            self.upper = _held(self.upper, upper)
        self.conv_in.begin()
        self.conv_out.begin(text)

    def start_row(self, row: int) -> None:
        self.conv_in.start_row(row)
        self.conv_out.start_row(row, None if self.upper is None else self.upper[row])

    def step(self, column: int, x: Tensor) -> None:
        _elu(x, self.conv_in.inputs[column])
        self.conv_in.step(column, self.hidden)
        _elu(self.hidden, self.conv_out.inputs[column])
        self.conv_out.step(column, self.gated)
        x += _glu(self.gated, self.branch)


class _KVCache:
    """The KV cache: keys and values of every attention block, made together when a code is known.

    Slot 0 is the learned first one; a position's own stand in the slot behind its number.
    """

    def __init__(self, model: PixelSNAIL, new: _Factory, *, batch: int) -> None:
        merges: list[AttentionBlock] = list(model.merges)  # type: ignore[arg-type]
        h, w = model.shape
        channel, n_head, n = model.config.channel, merges[0].n_head, len(merges)
        width = n_head * HEAD_DIM
        # (block, batch, 2C): the features as they reached the block, then the code's embedding
        inputs = new(n, batch, 2 * channel)
        self.features = list(inputs[..., :channel].unbind(0))
        self.raw, self.inputs = inputs[..., channel:], inputs
        self.weight = torch.stack([m.key_value.weight.t() for m in merges]).contiguous()
        background = model.background().flatten(0, 2)  # (N, C)
        fixed = torch.stack(
            [m.key_value_position(background) + m.key_value.bias for m in merges], dim=1
        )
        self.fixed = list(fixed.unsqueeze(2).unbind(0))  # N of (block, 1, 2D)
        # As the products of a single query read them: keys (…, d, slots), values (…, slots, d).
        self.keys = new(n, batch * n_head, HEAD_DIM, h * w + 1)
        self.values = new(n, batch * n_head, h * w + 1, HEAD_DIM)
        self.made = new(n, batch, 2 * width)
        self.split = rearrange(self.made, "k b (s n d) -> s k b n d", s=2, n=n_head)
        self.made += torch.stack([m.first_key_value for m in merges]).unsqueeze(1)
        self._keep(0)

    def append(self, position: int, raw: Tensor) -> None:
        self.raw.copy_(raw)
        torch.baddbmm(self.fixed[position], self.inputs, self.weight, out=self.made)
        self._keep(position + 1)

    def _keep(self, slot: int) -> None:
        key, value = self.split
        self.keys[..., slot].view_as(key).copy_(key)
        self.values[:, :, slot].view_as(value).copy_(value)


class _Merge:
    """An `AttentionBlock`."""

    def __init__(
        self,
        merge: AttentionBlock,
        model: PixelSNAIL,
        keys: _KVCache | None,
        number: int,
        new: _Factory,
        *,
        batch: int,
    ) -> None:
        self.merge = merge
        channel, self.n_head = model.config.channel, merge.n_head
        width = self.n_head * HEAD_DIM
        self.proj_in, self.proj_out = merge.proj_in, merge.proj_out
        self.in_weight = merge.proj_in.weight.t().contiguous()
        self.out_weight = merge.proj_out.weight.t().contiguous()
        # The scores' scale goes into the query.
        self.query = (merge.query.weight / math.sqrt(HEAD_DIM)).t().contiguous()
        fixed = merge.query_position(model.background().flatten(0, 2)) + merge.query.bias
        self.fixed = list((fixed / math.sqrt(HEAD_DIM)).unbind(0))
        sources = merge.query.weight.shape[0] // width
        self.asked = new(batch, sources * width)
        queries = rearrange(self.asked, "b (s n d) -> s b n 1 d", s=sources, n=self.n_head)
        self.found = new(batch, channel + sources * width)
        answers = rearrange(
            self.found[:, channel:], "b (s n d) -> s b n 1 d", s=sources, n=self.n_head
        )
        self.elu = self.found[:, :channel]
        self.hidden = new(batch, channel)
        self.gated, self.branch = new(batch, 2 * channel), new(batch, channel)
        self.own = None
        if merge.attention:
            assert keys is not None
            self.features = keys.features[number]
            self.own = (queries[0], keys.keys[number], keys.values[number], answers[0])
        self.text = (queries[-1], answers[-1]) if merge.cross_attention else None
        self.tokens: list[Tensor] = []  # their mask, keys and values

    def begin(self, context: Context) -> None:
        if self.text is None:
            return
        assert context.tokens is not None
        assert context.mask is not None
        key, value = self.merge.token_keys(context.tokens)
        hidden = torch.where(context.mask, 0, -torch.inf).to(key.dtype)  # (batch, T)
        mask = hidden.repeat_interleave(self.n_head, dim=0).unsqueeze(1)
        tokens = (mask, key.flatten(0, 1).transpose(1, 2), value.flatten(0, 1))
        held: Sequence[Tensor | None] = self.tokens or [None] * len(tokens)
        self.tokens = [_held(*each) for each in zip(held, tokens, strict=True)]

    def step(self, position: int, x: Tensor) -> None:
        torch.addmm(self.fixed[position], x, self.query, out=self.asked)
        _elu(x, self.elu)
        if self.own is not None:
            self.features.copy_(x)
            query, key, value, answer = self.own
            seen = position + 1
            scores = torch.bmm(query.reshape(-1, 1, HEAD_DIM), key[:, :, :seen])
            found = torch.bmm(scores.softmax(dim=-1), value[:, :seen])
            answer.copy_(found.view_as(answer))
        if self.text is not None:
            query, answer = self.text
            mask, key, value = self.tokens
            scores = torch.baddbmm(mask, query.reshape(-1, 1, HEAD_DIM), key)
            answer.copy_(torch.bmm(scores.softmax(dim=-1), value).view_as(answer))
        torch.addmm(self.proj_in.bias, self.found, self.in_weight, out=self.hidden)
        F.elu_(self.hidden)
        torch.addmm(self.proj_out.bias, self.hidden, self.out_weight, out=self.gated)
        x += _glu(self.gated, self.branch)


def _held(buffer: Tensor | None, value: Tensor) -> Tensor:
    """`value` in `buffer`, or in a new one if there is none: it stays where recorded work reads."""
    if buffer is None:
        return value.clone(memory_format=torch.contiguous_format)
    assert buffer.shape == value.shape
    return buffer.copy_(value)


# What `F.elu` and `F.glu` call; they do not hand `out` on.
def _elu(x: Tensor, out: Tensor) -> Tensor:
    return torch._C._nn.elu(x, out=out)  # type: ignore[call-arg]


def _glu(x: Tensor, out: Tensor) -> Tensor:
    return torch._C._nn.glu(x, -1, out=out)  # type: ignore[call-arg]
