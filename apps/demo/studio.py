"""What the page can ask for, and how much: whatever a request says, it is checked here.

Nothing here knows the page. A forged request gets the same one line as a slip of the hand.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.data.images import load_images
from pipeline.data.pairs import read_pairs
from pipeline.errors import UserError
from pipeline.evaluation.copies import nearest_views
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.painter import Painter, Painting
from pipeline.painter_folder import PainterFolder
from pipeline.painting_files import save_png
from pipeline.sampling_settings import PaintSettings
from stages import layout

MAX_LETTERS = 2000  # of all prompts of a request
MAX_PICTURES = 16  # of a request; with the default's four candidates, one batch
GUIDANCE, TEMPERATURE = (0.0, 8.0), (0.1, 2.0)
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Nearest:
    """The training picture nearest to a generated one.

    Attributes:
        image: (H, W, 3) uint8.
        says: is it a copy, in a line.
    """

    image: np.ndarray
    says: str


class Studio:
    """A painter, and the pictures that it learned from where they are here."""

    def __init__(self, found: PainterFolder, run: Path) -> None:
        self.painter, self.run = Painter.load(found), run
        self.settings = found.settings

    def settings_of(self, *, guidance: Any, temperature: Any) -> PaintSettings:
        """The judged settings, but for two.

        Raises:
            UserError: one of them is no number, or out of its range.
        """
        changes = {
            "guidance_scale": _between("guidance", guidance, *GUIDANCE),
            "temperature": _between("temperature", temperature, *TEMPERATURE),
        }
        return self.settings.model_copy(update=changes)

    def paint(
        self, text: Any, settings: PaintSettings, *, number: Any, seed: Any
    ) -> Iterator[Painting]:
        """Paint each line of `text` `number` times, one line after the other.

        Raises:
            UserError: something asked for is none, or too much.
        """
        prompts = self._prompts(text)
        number = _whole("number", number, 1, MAX_PICTURES)
        if len(prompts) * number > MAX_PICTURES:
            raise UserError(
                f"{len(prompts)} prompts, {number} pictures of each: at most {MAX_PICTURES} at once"
            )
        seed = _whole("seed", seed, 0, MAX_SEED)
        self.painter.blip.check_prompts(prompts)
        for prompt in prompts:
            yield from self.painter.paint(prompt, settings, samples=number, seed=seed)

    def _prompts(self, text: Any) -> list[str]:
        if not isinstance(text, str):
            raise UserError("prompts: expected text")
        if len(text) > MAX_LETTERS:
            raise UserError(f"{len(text)} letters: at most {MAX_LETTERS}")
        prompts = list(dict.fromkeys(line for line in text.splitlines() if line.strip()))
        if not prompts:
            raise UserError("nothing to paint: write a line of text")
        return prompts

    def nearest(self, image: np.ndarray) -> Nearest:
        """Has it copied? The training picture nearest to a picture (H, W, 3) uint8.

        Raises:
            UserError: the training pictures are not on this machine, or cannot be compared.
        """
        try:
            found = nearest_views(image[None], self.training)
        except Unmeasurable as reason:
            raise UserError(f"cannot be compared: {reason}") from None
        row, distance = int(found.rows[0]), float(found.distances[0])
        return Nearest(self.training[row], self._verdict(distance))

    def _verdict(self, distance: float) -> str:
        if self.threshold is None:
            return f"Distance {distance:.3f}; the run says nothing of what real pictures have."
        told = "a copy" if distance < self.threshold else "no copy"
        return (
            f"Distance {distance:.3f}: {told}, by a threshold of {self.threshold:.3f} that one in "
            "twenty real pictures stays below, which nobody can have copied."
        )

    @property
    def knows_training(self) -> bool:
        """Are the training pictures here?"""
        return (self.run / layout.PAIRS).is_file() and (self.run / layout.IMAGES).is_dir()

    @cached_property
    def training(self) -> np.ndarray:
        """All training pictures (N, H, W, 3) uint8 in the painter's size."""
        if not self.knows_training:
            raise UserError("the training pictures are not on this machine")
        pairs = read_pairs(self.run / layout.PAIRS)
        names = sorted({pair.image for pair in pairs if pair.split == "train" and pair.caption})
        return load_images(self.run / layout.IMAGES, names, self.painter.image_size)

    @cached_property
    def threshold(self) -> float | None:
        """Nearer than that is called a copy; None: the run has not measured it."""
        table = self.run / layout.METRICS / "figures.tsv"
        lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
        for line in lines:
            part, measure, value, *_ = [*line.split("\t"), "", "", ""]
            if (part, measure) == ("pixels", "copies.threshold"):
                return float(value)
        return None

    def png(self, painting: Painting, settings: PaintSettings, *, seed: int) -> Image.Image:
        """A painting that, saved as a PNG, says what it was painted from."""
        stream = io.BytesIO()
        facts = {
            "prompt": painting.prompt,
            "seed": str(seed),
            "sample": str(painting.sample),
            "match": f"{painting.match:.4f}",
            "settings": json.dumps(settings.model_dump()),
        }
        save_png(stream, painting.image, facts)
        return Image.open(stream)


def _whole(name: str, value: Any, low: int, high: int) -> int:
    number = _between(name, value, low, high)
    if number != int(number):
        raise UserError(f"{name} = {number}: expected a whole number")
    return int(number)


def _between(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{name}: expected a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise UserError(f"{name} = {value:g}: expected a number from {low:g} to {high:g}")
    return float(value)
