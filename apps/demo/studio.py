"""A painter of the page: what it paints when it is asked, as far as it may be asked."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from apps.demo.asked import (
    MAX_PICTURES,
    SEED,
    area_of,
    between,
    prompts_of,
    whole,
)
from apps.demo.copied import TrainingPictures
from apps.families import UNREAD
from apps.painting import facts_of, own_facts
from pipeline.errors import UserError
from pipeline.models.storage import model_name
from pipeline.painter import Painter, Painting
from pipeline.painter_folder import PainterFolder
from pipeline.painting_files import save_png
from pipeline.sampling_settings import PaintSettings

GUIDANCE, TEMPERATURE, STEPS = (0.0, 8.0), (0.1, 2.0), (1, 64)


@dataclass(frozen=True)
class Family:
    """What the page says of a family of priors.

    Attributes:
        name: as in the params.
        repaints: which area of a picture it can paint anew.
    """

    name: str
    repaints: str


FAMILIES = {
    "PixelSNAIL": Family(
        "pixelsnail",
        repaints="This prior, PixelSNAIL, draws in reading order, so it can paint only "
        "**a picture's end** anew: every cell from one on.",
    ),
    "MaskedDiffusion": Family(
        "diffusion",
        repaints="This prior, a masked diffusion, can paint **any area** anew.",
    ),
}


@dataclass(frozen=True)
class Shown:
    """A picture of the page.

    Attributes:
        image: (H, W, 3) uint8.
        png: the same, as a file that says what it was painted from.
        caption: what stands below it.
        painter: the label of the studio that painted it.
    """

    image: np.ndarray
    prompt: str
    png: Image.Image
    caption: str
    painter: str

    @property
    def data_url(self) -> str:
        """The picture inside of an address."""
        stream = io.BytesIO()
        Image.fromarray(self.image).save(stream, "PNG")
        return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


class Studio:
    """A painter that is loaded, and its family's words.

    Attributes:
        settings: what it was judged with.
        label: how a person tells it from the page's others.
        in_steps: does its prior read the setting `steps`?
        guidance, temperature, steps: what may be asked for, from least to most; what it was judged
            with is among it.
        training: the pictures that it learned from.
    """

    def __init__(self, found: PainterFolder, name: str) -> None:
        self.found, self.painter = found, Painter.load(found)
        self.settings = found.settings
        model = model_name(found.parts["prior"])
        self.family, self.in_steps = FAMILIES[model], "steps" not in UNREAD[model]
        self.label = f"{self.family.name} ({name})"
        self.guidance = _with(self.settings.guidance_scale, GUIDANCE)
        self.temperature = _with(self.settings.temperature, TEMPERATURE)
        self.steps = (STEPS[0], max(STEPS[1], self.settings.steps))
        self.training = TrainingPictures.of(found)

    @property
    def cells(self) -> list[int]:
        """Sides of the cells of its grids of codes in pixels, the coarsest level's first."""
        shapes = self.painter.decoder.vqvae.level_shapes
        return [self.painter.image_size // height for height, _ in shapes]

    @property
    def repaints(self) -> str:
        """What it can paint anew, and what becomes of the rest, in Markdown."""
        cells = " and of ".join(f"{cell} × {cell}" for cell in self.cells)
        return (
            f"{self.family.repaints} It draws by cells of {cells} pixels: one that you touch is "
            "drawn as a whole and seen where you marked it. All else stays to the pixel."
        )

    def settings_of(self, *, guidance: Any, temperature: Any, steps: Any) -> PaintSettings:
        """The judged settings, but for those of the page.

        Raises:
            UserError: one of them is no number, or out of its range.
        """
        changes: dict[str, float] = {
            "guidance_scale": between("guidance", guidance, *self.guidance),
            "temperature": between("temperature", temperature, *self.temperature),
        }
        if self.in_steps:
            changes["steps"] = whole("steps", steps, *self.steps)
        return self.settings.model_copy(update=changes)

    def paint(
        self, text: Any, settings: PaintSettings, *, number: Any, seed: Any
    ) -> Iterator[Shown]:
        """Paint each line of `text` `number` times, one line after the other.

        Raises:
            UserError: something asked for is none, or too much.
        """
        prompts = prompts_of(text)
        number = whole("number", number, 1, MAX_PICTURES)
        if len(prompts) * number > MAX_PICTURES:
            raise UserError(
                f"{len(prompts)} prompts, {number} pictures of each: at most {MAX_PICTURES} at once"
            )
        seed = whole("seed", seed, *SEED)
        self.painter.blip.check_prompts(prompts)
        for prompt in prompts:
            for painting in self.painter.paint(prompt, settings, samples=number, seed=seed):
                yield self._shown(painting, settings, seed)

    def repaint(
        self,
        picture: np.ndarray,
        mask: Any,
        text: Any,
        settings: PaintSettings,
        *,
        number: Any,
        seed: Any,
    ) -> list[Shown]:
        """Paint an area of a picture (H, H, 3) anew, `number` times; see `area_of` for the mask.

        Raises:
            UserError: something asked for is none, or too much, or the prior cannot paint this
                area.
        """
        side = self.painter.image_size
        if len(picture) != side:
            raise UserError(
                f"the picture is {len(picture)} pixels wide, {self.label} paints {side}"
            )
        area = area_of(mask, side)
        prompt, *more = prompts_of(text)
        if more:
            raise UserError("an area is painted anew by one line of text")
        number, seed = whole("number", number, 1, MAX_PICTURES), whole("seed", seed, *SEED)
        paintings = self.painter.repaint(picture, area, prompt, settings, samples=number, seed=seed)
        pixels = int(area.sum())
        return [self._shown(painting, settings, seed, repainted=pixels) for painting in paintings]

    def _shown(
        self, painting: Painting, settings: PaintSettings, seed: int, *, repainted: int = 0
    ) -> Shown:
        facts = {
            **own_facts(painting, seed=seed),
            **facts_of(self.found, settings),
        }
        caption = f"{painting.likelihood:.2f} {painting.prompt}"
        if repainted:
            facts["repainted"] = f"{repainted} pixels of another picture"
            caption = f"{caption} (repainted)"
        image = painting.image.copy()  # without it a session would keep every candidate
        stream = io.BytesIO()
        save_png(stream, image, facts)
        return Shown(image, painting.prompt, Image.open(stream), caption, self.label)


def _with(judged: float, limits: tuple[float, float]) -> tuple[float, float]:
    """The limits, wide enough for what a painter was judged with."""
    return min(judged, limits[0]), max(judged, limits[1])


def named(studios: list[Studio], label: Any) -> Studio:
    """The studio of that label.

    Raises:
        UserError: there is none.
    """
    for studio in studios:
        if studio.label == label:
            return studio
    raise UserError(f"prior: expected {' or '.join(studio.label for studio in studios)}")


def picked(shown: Any, index: Any) -> Shown:
    """The picture of that number among those shown.

    Raises:
        UserError: there is none.
    """
    if index not in range(len(shown or [])):
        raise UserError("open a picture that was painted just now")
    return shown[int(index)]
