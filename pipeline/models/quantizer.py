"""Vector quantisation: a wrapper of vector-quantize-pytorch that spells every choice out.

The library's own defaults leave dead codes unrevived, start the codebook at random and average it
over five steps; none of them is relied on here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.models.vqvae_sizes import QuantizerKind, fsq_levels

EMA_DECAY = 0.99  # a codebook averaged over some hundred steps; 0.8 follows single batches
REVIVE_BELOW = 2  # a code that fewer vectors than this choose (on average) is put among them anew
KMEANS_ITERATIONS = 10


class Quantizer(nn.Module):
    """Maps vectors to the nearest of `n_embed` codes, with a straight-through gradient.

    - `ema`: codebook kept as moving averages (https://arxiv.org/abs/1711.00937, appendix A.1),
      started by k-means, unused codes revived (https://arxiv.org/abs/2107.03312).
    - `cosine`: the same on the unit sphere (https://arxiv.org/abs/2110.04627).
    - `fsq`: no codebook, each dimension rounded to a few levels (https://arxiv.org/abs/2309.15505).

    Args:
        dim: width of the vectors that come in and go out.
        n_embed: number of codes; with `fsq` a power of two of at least 16.
        embed_dim: width in which codes are compared (`ema` and `cosine`).
        commitment_weight: pull of the vectors towards their codes, as a share of the loss.
        decode_only: only `lookup` will be called; without the library, whose import takes a second.
    """

    def __init__(
        self,
        kind: QuantizerKind,
        *,
        dim: int,
        n_embed: int,
        embed_dim: int,
        commitment_weight: float,
        decode_only: bool = False,
    ) -> None:
        super().__init__()
        self.is_fsq = kind == "fsq"
        if kind == "fsq":
            from vector_quantize_pytorch import FSQ

            self.book = FSQ(levels=fsq_levels(n_embed), dim=dim)
        elif decode_only:
            self.book = Book(dim, n_embed, embed_dim)
        else:
            from vector_quantize_pytorch import VectorQuantize

            self.book = VectorQuantize(
                dim=dim,
                codebook_size=n_embed,
                codebook_dim=embed_dim,
                use_cosine_sim=kind == "cosine",
                decay=EMA_DECAY,
                kmeans_init=True,
                kmeans_iters=KMEANS_ITERATIONS,
                threshold_ema_dead_code=REVIVE_BELOW,
                commitment_weight=commitment_weight,
                rotation_trick=False,
                stochastic_sample_codes=False,
                learnable_codebook=False,
            )

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise.

        Args:
            vectors: (B, N, dim).

        Returns:
            The quantised vectors (B, N, dim), their codes (B, N) int64, and the commitment loss, a
            scalar that is already weighted.
        """
        # Distances decide which code is nearest; half precision would move ties.
        with torch.autocast(vectors.device.type, enabled=False):
            if self.is_fsq:
                quantized, codes = self.book(vectors.float())
                loss = vectors.new_zeros(())
            else:
                quantized, codes, loss = self.book(vectors.float())
        return quantized, codes.long(), loss.sum()

    def lookup(self, codes: Tensor) -> Tensor:
        """The vectors (B, N, dim) of codes (B, N)."""
        if self.is_fsq:
            return self.book.indices_to_codes(codes)
        return self.book.get_output_from_indices(codes)


class Book(nn.Module):
    """The weights of a `VectorQuantize` under its names, to be looked up and no more."""

    def __init__(self, dim: int, n_embed: int, embed_dim: int) -> None:
        super().__init__()
        self._codebook = nn.Module()
        for name in ("embed", "embed_avg"):
            self._codebook.register_buffer(name, torch.zeros(1, n_embed, embed_dim))
        self._codebook.register_buffer("cluster_size", torch.zeros(1, n_embed))
        self._codebook.register_buffer("initted", torch.tensor(False))
        projects = dim != embed_dim
        self.project_in = nn.Linear(dim, embed_dim) if projects else nn.Identity()
        self.project_out = nn.Linear(embed_dim, dim) if projects else nn.Identity()

    def get_output_from_indices(self, codes: Tensor) -> Tensor:
        """The vectors (B, N, dim) of codes (B, N)."""
        vectors: Tensor = self.project_out(self._codebook.get_buffer("embed")[0][codes])
        return vectors
