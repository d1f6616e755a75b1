"""A plain VQ-VAE, as the well-known scripts build it: what the benchmarks compare with.

Written from the definitions (https://arxiv.org/abs/1711.00937, https://arxiv.org/abs/1906.00446)
with the scripts' choices: strided convolutions from full resolution down and transposed ones up,
distances to every code as one matrix, a codebook of moving averages that starts at random.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DECAY, TINY = 0.99, 1e-5


class Codebook(nn.Module):
    """The nearest of `n_embed` vectors, which follow what they are nearest to."""

    embed: Tensor
    size: Tensor
    sums: Tensor

    def __init__(self, dim: int, n_embed: int) -> None:
        super().__init__()
        embed = torch.randn(dim, n_embed)
        self.register_buffer("embed", embed)
        self.register_buffer("size", torch.zeros(n_embed))
        self.register_buffer("sums", embed.clone())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        flat = x.reshape(-1, x.shape[-1])  # (N, dim)
        squares = flat.pow(2).sum(1, keepdim=True) + self.embed.pow(2).sum(0, keepdim=True)
        codes = (squares - 2 * flat @ self.embed).argmin(1)
        if self.training:
            hot = F.one_hot(codes, self.embed.shape[1]).type(flat.dtype)
            self.size.lerp_(hot.sum(0), 1 - DECAY)
            self.sums.lerp_(flat.detach().t() @ hot, 1 - DECAY)
            total = self.size.sum()
            share = (self.size + TINY) / (total + self.embed.shape[1] * TINY) * total
            self.embed.copy_(self.sums / share)
        found = F.embedding(codes, self.embed.t()).view_as(x)
        return x + (found - x).detach(), (found.detach() - x).pow(2).mean()


class Residual(nn.Module):
    """x + conv1×1(relu(conv3×3(relu(x))))."""

    def __init__(self, channel: int, inner: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channel, inner, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(inner, channel, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class PlainVQVAE(nn.Module):
    """(B, 3, H, W) in [-1, 1] → its reconstruction and the commitment loss; a quarter in size."""

    def __init__(
        self, *, channel: int, n_res_block: int, res_channel: int, embed_dim: int, n_embed: int
    ) -> None:
        super().__init__()

        def blocks() -> list[nn.Module]:
            return [Residual(channel, res_channel) for _ in range(n_res_block)]

        self.encoder = nn.Sequential(
            nn.Conv2d(3, channel // 2, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(channel // 2, channel, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(channel, channel, 3, padding=1), *blocks(), nn.ReLU(),
            nn.Conv2d(channel, embed_dim, 1),
        )  # fmt: skip
        self.codebook = Codebook(embed_dim, n_embed)
        self.decoder = nn.Sequential(
            nn.Conv2d(embed_dim, channel, 3, padding=1), *blocks(), nn.ReLU(),
            nn.ConvTranspose2d(channel, channel // 2, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(channel // 2, 3, 4, stride=2, padding=1),
        )  # fmt: skip

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        quantized, commitment = self.codebook(self.encoder(images).permute(0, 2, 3, 1))
        return self.decoder(quantized.permute(0, 3, 1, 2)), commitment
