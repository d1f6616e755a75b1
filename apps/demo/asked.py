"""What a request may ask for, and how much: whatever it holds, it is checked here.

Nothing here knows the page. A forged request gets the same one line as a slip of the hand.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from pipeline.errors import UserError

MAX_LETTERS = 2000  # of all prompts of a request
MAX_PICTURES = 16  # of a request; with the default's four candidates, one batch
SEED = (0, 2**32 - 1)


def prompts_of(text: Any) -> list[str]:
    """The lines of a text, each once, blank ones left out.

    Raises:
        UserError: it is no text, too long, or empty.
    """
    if not isinstance(text, str):
        raise UserError("prompts: expected text")
    if len(text) > MAX_LETTERS:
        raise UserError(f"{len(text)} letters: at most {MAX_LETTERS}")
    prompts = list(dict.fromkeys(line for line in text.splitlines() if line.strip()))
    if not prompts:
        raise UserError("nothing to paint: write a line of text")
    return prompts


def area_of(mask: Any, side: int) -> np.ndarray:
    """The area (side, side) bool of a mask in hexadecimal digits.

    Args:
        mask: a bit for each pixel, row by row, 1 where the picture is painted anew.

    Raises:
        UserError: it is no such mask, or nothing is marked.
    """
    if mask is None or mask == "":
        raise UserError("no area is marked: drag over the picture that you opened")
    digits = side * side // 4
    try:
        if not isinstance(mask, str) or len(mask) != digits:
            raise ValueError
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(mask), dtype=np.uint8))
        area = bits.reshape(side, side).astype(bool)
    except ValueError:
        raise UserError(
            f"the mask: expected {digits} hexadecimal digits, a bit for each of {side} x {side} "
            "pixels"
        ) from None
    if not area.any():
        raise UserError("no area is marked: drag over the picture that you opened")
    return area


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number from `low` to `high`.

    Raises:
        UserError: `value` is none.
    """
    number = between(name, value, low, high)
    if number != int(number):
        raise UserError(f"{name} = {number}: expected a whole number")
    return int(number)


def finite(value: float) -> bool:
    """Is it a number that a float can hold? `math.isfinite` raises an error for 10**400."""
    return abs(value) <= sys.float_info.max


def between(name: str, value: Any, low: float, high: float) -> float:
    """A number from `low` to `high`.

    Raises:
        UserError: `value` is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not finite(value):
        raise UserError(f"{name}: expected a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise UserError(f"{name} = {value:g}: expected a number from {low:g} to {high:g}")
    return float(value)
