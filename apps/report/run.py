"""What a finished run has to show, read from its folder; what is not there is None or empty."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from apps.report.charts import Line, Point, lines_of
from pipeline.data.pixels import Pixels
from pipeline.errors import UserError
from pipeline.params import load_section, read_yaml
from stages import layout

PICTURE_BUDGET = 3_200_000  # bytes of single pictures, so that the page stays below 5 MB
LATENT_BUDGET = 600_000
THUMB = 64  # pixels, of a latent's picture
INDEX = layout.GENERATED / "index.csv"
METHODS = {"tsne": "Latents of the test pictures, by t-SNE", "pca": "The same, by PCA"}


@dataclass(frozen=True)
class Shown:
    """A picture of the page: its bytes, their type, and what is known of it."""

    content: bytes
    kind: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """A run in a folder."""

    folder: Path

    def report(self) -> str:
        """metrics/report.md.

        Raises:
            UserError: there is none.
        """
        content = self.read(layout.METRICS / "report.md")
        if content is None:
            where = self.folder / layout.METRICS / "report.md"
            raise UserError(f"{where}: no such file; run `dvc repro`, or give a run's folder")
        return content.decode("utf-8", "replace")

    def read(self, path: Path | str) -> bytes | None:
        """A file of the run; None where it has none, or where the path leads out of it."""
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            return None
        file = self.folder / path
        return file.read_bytes() if file.is_file() else None

    def curves(self) -> Iterator[tuple[str, str, list[Line]]]:
        """Yield the title, the axis and the curves of each plot that dvc.yaml declares."""
        for entry in read_yaml(self.folder / "dvc.yaml").get("plots", []):
            for title, plot in entry.items():
                lines = [
                    line
                    for file, columns in plot["y"].items()
                    for line in lines_of(self.rows(file), plot["x"], _listed(columns))
                ]
                if lines:
                    yield str(title), str(plot["x"]), lines

    def rows(self, path: Path | str) -> list[dict[str, str]]:
        """A table's rows; none where there is no table."""
        text = (self.read(path) or b"").decode("utf-8", "replace")
        delimiter = "," if str(path).endswith(".csv") else "\t"
        return [
            {str(k): str(v) for k, v in row.items()}
            for row in csv.DictReader(io.StringIO(text), delimiter=delimiter)
        ]

    def generated(self) -> tuple[list[Shown], int]:
        """The chosen pictures in the order of their prompts, as many as fit, and how many are."""
        chosen = [row for row in self.rows(INDEX) if row.get("chosen") == "True"]
        shown: list[Shown] = []
        left = PICTURE_BUDGET
        for row in chosen:
            content = self.read(layout.GENERATED / row.get("file", ""))
            facts = _facts(content)
            if content is None or facts is None:
                continue
            left -= 4 * len(content) // 3
            if left < 0:
                break
            facts |= {"likelihood": row.get("likelihood", "")}
            shown.append(Shown(content, "png", facts))
        return shown, len(chosen)

    def latents(self) -> tuple[dict[str, list[Point]], dict[str, Shown]]:
        """The points of each projection, and the pictures that they open, by name."""
        pictures: dict[str, Shown] = {}
        left, pixels = LATENT_BUDGET, self._pixels()
        plots = {}
        for method in METHODS:
            points = []
            for row in self.rows(layout.LATENTS / f"{method}.tsv"):
                name, label = row.get("image", ""), row.get("label", "")
                if name and name not in pictures and left > 0:
                    content = _thumb(pixels, name)
                    if content is not None:
                        left -= 4 * len(content) // 3
                        pictures[name] = Shown(content, "webp", {"label": label, "picture": name})
                try:
                    at = float(row["x"]), float(row["y"])
                except (KeyError, ValueError):
                    continue
                points.append(Point(*at, label, name if name in pictures else None))
            plots[method] = points
        return plots, pictures

    def _pixels(self) -> Pixels | None:
        """The pictures as the VQ-VAE reads them; None where they are not here, or damaged."""
        try:
            size = load_section(self.folder / layout.PARAMS, "vqvae.image_size", int)
            return Pixels.open(self.folder / layout.VQVAE_PIXELS, size)
        except UserError:
            return None


def _listed(columns: Any) -> Sequence[str]:
    return [columns] if isinstance(columns, str) else list(columns)


def _facts(content: bytes | None) -> dict[str, str] | None:
    """What a PNG says of itself; None: it is none."""
    if content is None:
        return None
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.load()
            text = getattr(image, "text", {})
            return {str(key): str(value) for key, value in text.items()}
    except (OSError, ValueError, SyntaxError):
        return None


def _thumb(pixels: Pixels | None, name: str) -> bytes | None:
    if pixels is None:
        return None
    try:
        image = Image.fromarray(pixels[pixels.rows([name])][0])
    except UserError:
        return None
    stream = io.BytesIO()
    image.thumbnail((THUMB, THUMB))
    image.save(stream, "WEBP", quality=85)
    return stream.getvalue()
