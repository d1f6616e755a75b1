"""The flow decoder: paints what a picture's codes and text leave open, out of noise.

The VQ-VAE's own decoder paints the mean of all pictures that its codes may stand for: what they
leave open comes out soft. This one draws from those pictures. It knows the decoded picture, the
vectors of the codes and the text, and learns by flow matching (rectified flow,
https://arxiv.org/abs/2209.03003) how noise becomes the residual, picture less decoded picture:

    x_t = (1 - t) noise + t residual / scale,    velocity = residual / scale - noise

A U-Net at a fraction of the picture's resolution, for a convolution over few channels at all of it
moves more memory than it computes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.errors import UserError
from pipeline.files import replacing
from pipeline.models.flow_decoder_sizes import GROUPS, FlowDecoderConfig
from pipeline.models.storage import fingerprint, load_model, save_model
from pipeline.models.vqvae import VQVAE

HINT = 16  # channels in which each level's codes are spread over the finest resolution
GUIDE = "guide"  # the folder of a flow decoder's guide, inside its own
WAVES = 64  # sines and cosines that tell the time


class FlowDecoder(nn.Module):
    """Tells in which direction noise becomes the residual of a picture.

    Attributes:
        scale: of the residual, () float: its standard deviation over training pictures, so that
            the network sees numbers about as large as the noise. Training sets it.
    """

    scale: Tensor

    def __init__(self, **sizes: Any) -> None:
        """Build it of the fields of `FlowDecoderConfig`, by name.

        Raises:
            ValueError: a size is missing, unknown or impossible.
        """
        super().__init__()
        self.config = c = FlowDecoderConfig.of(**sizes)
        self.register_buffer("scale", torch.ones(()))
        side, pixels, width = c.image_size // c.patch, 3 * c.patch**2, 4 * c.channels[0]
        self.hints = nn.ModuleList(
            Spread(c.code_dim, HINT, times=side // grid, kernel=1) for grid in c.code_sides
        )
        self.time = nn.Sequential(nn.Linear(WAVES, width), nn.SiLU(), nn.Linear(width, width))
        self.text = nn.Linear(c.text_dim, width)
        self.conv_in = nn.Conv2d(2 * pixels + HINT * len(c.code_sides), c.channels[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.shrink, self.grow = nn.ModuleList(), nn.ModuleList()
        for channel in c.channels:
            for way in (self.down, self.up):
                way.append(nn.ModuleList(ResBlock(channel, width) for _ in range(c.n_res_block)))
        for fine, coarse in zip(c.channels, c.channels[1:], strict=False):
            self.shrink.append(nn.Conv2d(fine, coarse, 2, stride=2))
            self.grow.append(Spread(coarse, fine, times=2, kernel=1))
        self.norm = nn.GroupNorm(GROUPS, c.channels[0])
        self.out = _silent(nn.Conv2d(c.channels[0], pixels, 3, padding=1))

    @classmethod
    def beside(cls, vqvae: VQVAE, **sizes: Any) -> FlowDecoder:
        """A new one for the codes of `vqvae`, of the fields of `FlowDecoderSizes`, by name.

        Raises:
            ValueError: a size is missing, unknown or impossible, or does not go with the VQ-VAE's.
        """
        return cls(
            **sizes,
            image_size=vqvae.config.image_size,
            code_sides=tuple(side for side, _ in vqvae.level_shapes),
            code_dim=vqvae.config.channel,
            text_dim=vqvae.config.text_dim,
            vqvae=fingerprint(vqvae),
        )

    def check_fits(self, vqvae: VQVAE) -> None:
        """See that it was trained over this very VQ-VAE.

        Raises:
            UserError: it was trained over another one.
        """
        if self.config.vqvae != fingerprint(vqvae):
            raise UserError(
                "the flow decoder was trained over the codes of another VQ-VAE; run train_decoder"
            )

    def forward(
        self,
        noisy: Tensor,
        times: Tensor,
        decoded: Tensor,
        vectors: Sequence[Tensor],
        text_embeds: Tensor,
    ) -> Tensor:
        """The velocity of residuals on their way out of noise.

        As in EDM (https://arxiv.org/abs/2206.00364) the network only adds to what would be right
        for Gaussian residuals of no structure: a new one, whose last weights are 0, is right there.

        Args:
            noisy: (B, 3, H, W), x_t.
            times: (B,) in [0, 1]; 0: noise, 1: residual / scale.
            decoded: (B, 3, H, W) in [-1, 1], by the VQ-VAE from the same codes.
            vectors: of each level (B, code_dim, h, w), what its codes stand for, the top's first.
            text_embeds: (B, text_dim), L2-normalised; zeros where there is no text.

        Returns:
            (B, 3, H, W).
        """
        t = times[:, None, None, None]
        spread = (t.square() + (1 - t).square()).sqrt()  # of x_t, if the residual is unit Gaussian
        patch = self.config.patch
        seen = [F.pixel_unshuffle(image, patch) for image in (noisy / spread, decoded)]
        seen += [hint(vector) for hint, vector in zip(self.hints, vectors, strict=True)]
        x = torch.cat(seen, dim=1).contiguous(memory_format=torch.channels_last)
        told = F.silu(self.time(waves(times)) + self.text(text_embeds))  # (B, width)
        learned = F.pixel_shuffle(self._unet(x, told), patch)
        return (2 * t - 1) / spread.square() * noisy + learned / spread

    def _unet(self, x: Tensor, told: Tensor) -> Tensor:
        x = self.conv_in(x)  # (B, channels[0], H / patch, W / patch)
        kept = []
        for level, blocks in enumerate(self.down):
            x = self.shrink[level - 1](x) if level else x
            x = _through(blocks, x, told)
            kept.append(x)
        for level in reversed(range(len(kept))):
            x = x if x is kept[level] else kept[level] + self.grow[level](x)
            x = _through(self.up[level], x, told)
        return self.out(F.silu(self.norm(x)))  # (B, 3 patch², H / patch, W / patch)

    def hidden_weights(self) -> list[str]:
        """Names of the matrices between hidden features, which Muon moves in training.

        Not those that read or write pictures, codes, time and text, after Muon's author.
        """
        inner = {"down", "up", "shrink", "grow"}
        return [
            name
            for name, parameter in self.named_parameters()
            if name.split(".")[0] in inner and parameter.ndim == 4
        ]

    def save_pretrained(self, folder: Path | str) -> None:
        """Write `config.json` and `model.safetensors` into `folder`."""
        save_model(self, self.config, folder)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> FlowDecoder:
        """Load what `save_pretrained` wrote.

        Raises:
            UserError: a file is missing, damaged or of another model.
        """
        model = load_model(Path(folder), cls)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def save_flows(flow: FlowDecoder, guide: FlowDecoder | None, folder: Path | str) -> None:
    """Write a flow decoder and its guide, if it has one; `folder` appears when it is whole."""
    with replacing(Path(folder)) as aside:
        flow.save_pretrained(aside)
        if guide is not None:
            guide.save_pretrained(aside / GUIDE)


def load_flows(folder: Path | str) -> list[FlowDecoder]:
    """Load what `save_flows` wrote: the flow decoder, and its guide if it has one.

    Raises:
        UserError: a file is missing, damaged or of another model.
    """
    folder = Path(folder)
    folders = [folder, folder / GUIDE] if (folder / GUIDE).exists() else [folder]
    return [FlowDecoder.from_pretrained(own) for own in folders]


class ResBlock(nn.Module):
    """x + conv(silu(film(norm(conv(silu(norm(x)))), time and text))), starting at no change."""

    def __init__(self, channel: int, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channel)
        self.conv = nn.Conv2d(channel, channel, 3, padding=1)
        self.film_norm = nn.GroupNorm(GROUPS, channel, affine=False)
        self.film = nn.Linear(width, 2 * channel)
        self.out = _silent(nn.Conv2d(channel, channel, 3, padding=1))

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.film(told)[:, :, None, None].chunk(2, dim=1)  # (B, C, 1, 1)
        hidden = self.film_norm(self.conv(F.silu(self.norm(x))))
        return x + self.out(F.silu(torch.addcmul(shift, hidden, 1 + scale)))


class Spread(nn.Module):
    """(B, C, h, w) → (B, C', times h, times w): each place's channels as a patch of places."""

    def __init__(self, inputs: int, outputs: int, *, times: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs * times**2, kernel, padding=kernel // 2)
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), self.times)


def waves(times: Tensor) -> Tensor:
    """(B,) in [0, 1] → (B, WAVES): cosines and sines of 1 to 500 radians."""
    steps = torch.arange(WAVES // 2, device=times.device) / (WAVES // 2 - 1)
    angles = times[:, None] * torch.exp(steps * math.log(500))
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def _through(blocks: nn.Module, x: Tensor, told: Tensor) -> Tensor:
    for block in blocks:  # type: ignore[attr-defined]
        x = block(x, told)
    return x


def _silent(conv: nn.Conv2d) -> nn.Conv2d:
    """The same, saying 0 until it has learned."""
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv
