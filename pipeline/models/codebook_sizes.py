"""Which codebooks there are, and which sizes a codebook can have; read without torch."""

from __future__ import annotations

from typing import Literal

QuantizerKind = Literal["ema", "cosine", "fsq"]


def fsq_levels(n_embed: int) -> list[int]:
    """Levels a dimension whose product is `n_embed`: as many eights as fit, fours for the rest.

    Raises:
        ValueError: `n_embed` is not a power of two of at least 16.
    """
    bits = n_embed.bit_length() - 1
    if n_embed != 1 << bits or bits < 4:
        raise ValueError(f"n_embed = {n_embed}: fsq takes a power of two of at least 16")
    fours = -bits % 3  # so that 2 × fours + 3 × eights = bits
    return [4] * fours + [8] * ((bits - 2 * fours) // 3)
