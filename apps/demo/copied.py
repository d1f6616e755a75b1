"""Has it copied? The pictures that were learned from, where they are here, and the nearest one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from apps.review.trees import Folder
from apps.runs import figures_of
from pipeline.data.pairs import read_pairs
from pipeline.data.pixels import Pixels
from pipeline.errors import UserError
from pipeline.evaluation.copies import nearest_views
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.painter_folder import PainterFolder
from stages import layout


@dataclass(frozen=True)
class Nearest:
    """The training picture nearest to a generated one.

    Attributes:
        image: (H, W, 3) uint8.
        says: is it a copy, in a line.
    """

    image: np.ndarray
    says: str


class TrainingPictures:
    """Those that a run learned from.

    Args:
        run: its folder; None: nobody knows it.
    """

    def __init__(self, run: Path | None) -> None:
        self.run = run
        self._views: dict[int, np.ndarray] = {}

    @classmethod
    def of(cls, found: PainterFolder) -> TrainingPictures:
        """Those that a painter learned from.

        They lie beside the models of its run. An export may lie in another run's folder, so what
        is beside it proves nothing.
        """
        models = found.parts["prior"].parent.resolve()
        return cls(models.parent if models.name == layout.PAINTER.parent.name else None)

    @property
    def here(self) -> bool:
        """Are they on this machine?"""
        return (
            self.run is not None
            and (self.run / layout.PAIRS).is_file()
            and (self.run / layout.VQVAE_PIXELS).is_dir()
        )

    def views(self, side: int) -> np.ndarray:
        """All of them (N, side, side, 3) uint8; read once for each side."""
        if self.run is None or not self.here:
            raise UserError("the pictures that this painter learned from are not here")
        if side not in self._views:
            pairs = read_pairs(self.run / layout.PAIRS)
            names = sorted({pair.image for pair in pairs if pair.split == "train" and pair.caption})
            pixels = Pixels.open(self.run / layout.VQVAE_PIXELS, side)
            self._views[side] = pixels[pixels.rows(names)]
        return self._views[side]

    def nearest(self, image: np.ndarray) -> Nearest:
        """The one nearest to a picture (H, H, 3) uint8.

        Raises:
            UserError: they are not on this machine, or cannot be compared.
        """
        views = self.views(len(image))
        try:
            found = nearest_views(image[None], views)
        except Unmeasurable as reason:
            raise UserError(f"cannot be compared: {reason}") from None
        row, distance = int(found.rows[0]), float(found.distances[0])
        return Nearest(views[row], self._verdict(distance))

    def _verdict(self, distance: float) -> str:
        if self.threshold is None:
            return f"Distance {distance:.3f}; the run says nothing of what real pictures have."
        told = "a copy" if distance < self.threshold else "no copy"
        return (
            f"Distance {distance:.3f}: {told}, by a threshold of {self.threshold:.3f} that one in "
            "twenty real pictures stays below, which nobody can have copied."
        )

    @cached_property
    def threshold(self) -> float | None:
        """Nearer than that is called a copy; None: the run has not measured it."""
        if self.run is None:
            return None
        figures = figures_of(Folder(str(self.run), self.run)) or {}
        return figures.get("pixels.copies.threshold")
