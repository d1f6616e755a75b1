"""The VQ-VAE: a picture and its text's embedding become one joint grid of codes, and back.

After VQ-VAE (https://arxiv.org/abs/1711.00937) and, with two levels, VQ-VAE-2
(https://arxiv.org/abs/1906.00446). The text scales and shifts the features of every residual block
(FiLM, https://arxiv.org/abs/1709.07871) of encoder and decoder: what the words already say need not
be said in codes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from pipeline.models.quantizer import Quantizer
from pipeline.models.storage import load_model, save_model
from pipeline.models.vqvae_sizes import VQVAEConfig


class VQVAE(nn.Module):
    """Encodes a picture with a text embedding into codes; decodes codes with the embedding.

    With two levels the codes stay one grid: the top's cells, in raster order, fill the first rows
    above the bottom's (8×8 over 16×16 becomes 20×16), so that every later stage handles one array.
    """

    def __init__(self, *, decode_only: bool = False, **sizes: Any) -> None:
        """Build it of the fields of `VQVAEConfig`, by name.

        Args:
            decode_only: nothing will be encoded; it is there a second sooner.

        Raises:
            ValueError: a size is missing, unknown or impossible.
        """
        super().__init__()
        self.config = c = VQVAEConfig.of(**sizes)
        self.encoder = Encoder(c)
        self.decoder = Decoder(c)
        # Built from the top down, as codes are chosen: the bottom sees what the top already says.
        self.quantizers = nn.ModuleList(self._quantizer(decode_only) for _ in range(c.levels))
        if c.levels == 2:
            self.shrink = nn.Conv2d(c.channel, c.channel, 4, stride=2, padding=1)
            self.top_encoder = Trunk(c, c.channel)
            self.top_decoder = Trunk(c, c.channel)
            self.grow = nn.ConvTranspose2d(c.channel, c.channel, 4, stride=2, padding=1)
            self.merge_encoded = nn.Conv2d(2 * c.channel, c.channel, 1)
            self.merge_decoded = nn.Conv2d(2 * c.channel, c.channel, 1)

    def _quantizer(self, decode_only: bool) -> Quantizer:
        c = self.config
        return Quantizer(
            c.quantizer,
            dim=c.channel,
            n_embed=c.n_embed,
            embed_dim=c.embed_dim,
            commitment_weight=c.commitment_weight,
            decode_only=decode_only,
        )

    @property
    def level_shapes(self) -> list[tuple[int, int]]:
        """Height and width of each level's grid, the top (coarse) one first."""
        side = self.config.image_size // self.config.downsample
        return [(side, side)] if self.config.levels == 1 else [(side // 2, side // 2), (side, side)]

    @property
    def code_shape(self) -> tuple[int, int]:
        """Height and width of the one grid that `encode` returns."""
        return _packed_shape(self.level_shapes)

    def forward(self, images: Tensor, text_embeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, quantise and decode, for training.

        Returns:
            The reconstructions (B, 3, H, W), the codes (B, h, w) and the commitment loss.
        """
        features, codes, loss = self._quantize(images, text_embeds)
        return self._paint(features, text_embeds), codes, loss

    @torch.inference_mode()
    def encode(self, images: Tensor, text_embeds: Tensor) -> Tensor:
        """Codes of pictures.

        Args:
            images: (B, 3, H, W) in [-1, 1].
            text_embeds: (B, text_dim), L2-normalised; zeros where there is no text.

        Returns:
            (B, h, w) int64 in [0, n_embed).
        """
        return self._quantize(images, text_embeds)[1]

    @torch.inference_mode()
    def decode(self, codes: Tensor, text_embeds: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] of codes (B, h, w), texts beside them (B, text_dim)."""
        return self._paint(self.vectors(codes), text_embeds).clamp(-1, 1)

    @torch.inference_mode()
    def latents(self, codes: Tensor) -> Tensor:
        """The vectors (B, h * w, channel) that codes (B, h, w) stand for, all levels' in a row."""
        levels = [rearrange(level, "b c h w -> b (h w) c") for level in self.vectors(codes)]
        return torch.cat(levels, dim=1)

    @torch.inference_mode()
    def vectors(self, codes: Tensor) -> list[Tensor]:
        """The vectors (B, channel, h_i, w_i) of each level's codes, the top's first."""
        if tuple(codes.shape[1:]) != self.code_shape:
            shape = tuple(codes.shape)
            raise ValueError(f"codes of shape {shape}, expected (B, *{self.code_shape})")
        levels = unpack_levels(codes, self.level_shapes)
        return [
            rearrange(
                cast(Quantizer, quantizer).lookup(code.flatten(1)),
                "b (h w) c -> b c h w",
                h=code.shape[1],
            )
            for quantizer, code in zip(self.quantizers, levels, strict=True)
        ]

    def _quantize(self, images: Tensor, text_embeds: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        features = self.encoder(images.contiguous(memory_format=torch.channels_last), text_embeds)
        if self.config.levels == 1:
            quantized, codes, loss = _apply(self.quantizers[0], features)
            return [quantized], codes, loss
        top = self.top_encoder(self.shrink(features), text_embeds)  # (B, C, h/2, w/2)
        top, top_codes, top_loss = _apply(self.quantizers[0], top)
        known = self.grow(self.top_decoder(top, text_embeds))  # (B, C, h, w)
        rest = self.merge_encoded(torch.cat([features, known], dim=1))
        bottom, codes, loss = _apply(self.quantizers[1], rest)
        return [top, bottom], pack_levels([top_codes, codes]), top_loss + loss

    def _paint(self, levels: list[Tensor], text_embeds: Tensor) -> Tensor:
        features = levels[-1]
        if len(levels) == 2:
            known = self.grow(self.top_decoder(levels[0], text_embeds))
            features = self.merge_decoded(torch.cat([features, known], dim=1))
        return self.decoder(features, text_embeds)

    def hidden_weights(self) -> list[str]:
        """Names of the matrices between hidden features, which Muon moves in training.

        Not those that read or write pictures, codes and text, after Muon's author.
        """
        return [
            f"{name}.weight"
            for name, module in self.named_modules()
            if isinstance(module, nn.Conv2d) and ".blocks." in name
        ]

    def save_pretrained(self, folder: Path | str) -> None:
        """Write `config.json` and `model.safetensors` into `folder`."""
        save_model(self, self.config, folder)

    @classmethod
    def from_pretrained(cls, folder: Path | str, *, decode_only: bool = False) -> VQVAE:
        """Load what `save_pretrained` wrote.

        Raises:
            UserError: a file is missing, damaged or of another model.
        """
        return load_model(Path(folder), cls, decode_only=decode_only)


class Encoder(nn.Module):
    """(B, 3, H, W) → (B, channel, h, w): each cell's pixels as channels, then residual blocks.

    Strided convolutions at full resolution spend most of their time moving memory: this reached
    1.0 dB more in the same minute.
    """

    def __init__(self, c: VQVAEConfig) -> None:
        super().__init__()
        self.downsample = c.downsample
        self.trunk = Trunk(c, 3 * c.downsample**2)

    def forward(self, images: Tensor, text_embeds: Tensor) -> Tensor:
        return self.trunk(F.pixel_unshuffle(images, self.downsample), text_embeds)


class Decoder(nn.Module):
    """(B, channel, h, w) → (B, 3, H, W): residual blocks, then each cell's channels as pixels."""

    def __init__(self, c: VQVAEConfig) -> None:
        super().__init__()
        self.trunk = Trunk(c, c.channel)
        self.out = nn.Conv2d(c.channel, 3 * c.downsample**2, 3, padding=1)
        self.downsample = c.downsample

    def forward(self, features: Tensor, text_embeds: Tensor) -> Tensor:
        x = self.out(F.silu(self.trunk(features, text_embeds)))
        return F.pixel_shuffle(x, self.downsample)


class Trunk(nn.Module):
    """A convolution to the common width, then residual blocks under the text's influence."""

    def __init__(self, c: VQVAEConfig, in_channel: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(in_channel, c.channel, 3, padding=1)
        self.blocks = nn.ModuleList(ResBlock(c) for _ in range(c.n_res_block))

    def forward(self, x: Tensor, text_embeds: Tensor) -> Tensor:
        x = self.conv_in(x)
        for block in self.blocks:
            x = block(x, text_embeds)
        return x


class ResBlock(nn.Module):
    """x + conv1×1(silu(film(conv3×3(silu(x)), text))), the text's part starting at no effect."""

    def __init__(self, c: VQVAEConfig) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c.channel, c.res_channel, 3, padding=1)
        self.film = nn.Linear(c.text_dim, 2 * c.res_channel)
        self.out = nn.Conv2d(c.res_channel, c.channel, 1)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, text_embeds: Tensor) -> Tensor:
        scale, shift = self.film(text_embeds)[:, :, None, None].chunk(2, dim=1)  # (B, R, 1, 1)
        hidden = self.conv(F.silu(x)) * (1 + scale) + shift  # (B, R, h, w)
        return x + self.out(F.silu(hidden))


def pack_levels(levels: list[Tensor]) -> Tensor:
    """Put grids (B, h_i, w_i), top first, into one (B, h, w) as wide as the last."""
    width = levels[-1].shape[2]
    return torch.cat([rearrange(g.flatten(1), "b (h w) -> b h w", w=width) for g in levels], dim=1)


def unpack_levels(codes: Tensor, shapes: list[tuple[int, int]]) -> list[Tensor]:
    """Undo `pack_levels`: grids of the given shapes from one (B, h, w)."""
    parts = codes.flatten(1).split([h * w for h, w in shapes], dim=1)
    return [rearrange(p, "b (h w) -> b h w", h=h) for p, (h, _) in zip(parts, shapes, strict=True)]


def _packed_shape(shapes: list[tuple[int, int]]) -> tuple[int, int]:
    width = shapes[-1][1]
    return sum(h * w for h, w in shapes) // width, width


def _apply(quantizer: nn.Module, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    height = features.shape[2]
    vectors = rearrange(features, "b c h w -> b (h w) c")
    quantized, codes, loss = quantizer(vectors)
    return (
        rearrange(quantized, "b (h w) c -> b c h w", h=height),
        rearrange(codes, "b (h w) -> b h w", h=height),
        loss,
    )
