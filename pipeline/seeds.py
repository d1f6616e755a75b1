"""Seeds out of seeds: every random draw has its own, so none depends on what was drawn before."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: int | str) -> int:
    """One seed in [0, 2**63) from what identifies a draw: the run's seed, a step, a prompt …"""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
