"""From text to pictures: BLIP reads it, the prior draws codes, the decoder paints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.data.texts import join_surrogates, normalise
from pipeline.data.views import to_float, to_uint8
from pipeline.decoder import Decoder
from pipeline.devices import best_device
from pipeline.errors import UserError
from pipeline.models.blip_reader import BlipReader
from pipeline.models.vqvae import pack_levels
from pipeline.painter_folder import PainterFolder
from pipeline.priors import Draw, Prior, load_prior
from pipeline.progress import progress
from pipeline.sampling.logits import OPEN
from pipeline.sampling_settings import DrawSettings, PaintSettings
from pipeline.seeds import derive_seed


@dataclass(frozen=True)
class Painting:
    """One sample for one prompt: the candidates that were drawn, and which of them was chosen.

    Attributes:
        draws: (n, H, W, 3) uint8, in the order in which they were drawn.
        likelihoods: (n,) of the prompt as a caption of each, by BLIP: see `BlipReader.likelihoods`.
    """

    prompt: str
    sample: int
    draws: np.ndarray
    likelihoods: np.ndarray

    @property
    def chosen(self) -> int:
        """Which draw the prompt is likeliest to be the caption of (best-of-n reranking)."""
        return int(self.likelihoods.argmax())

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8, the chosen draw."""
        return self.draws[self.chosen]

    @property
    def likelihood(self) -> float:
        """How likely the prompt is as a caption of the chosen draw, in [0, 1]."""
        return float(self.likelihoods[self.chosen])


@dataclass(frozen=True)
class Around:
    """What stays of a picture when an area of it is painted anew; as `Painter.repaint` takes it."""

    picture: np.ndarray
    area: np.ndarray


class Painter:
    """The trained models that together paint a text, for one thread at a time.

    Attributes:
        settings: how `paint` paints unless it is told; None: it must be told.
    """

    settings: PaintSettings | None = None

    def __init__(self, blip: BlipReader, prior: Prior, decoder: Decoder) -> None:
        self.blip, self.prior, self.decoder = blip, prior, decoder
        self.device = decoder.device
        self._drawing: tuple[DrawSettings, Draw] | None = None

    @property
    def image_size(self) -> int:
        """Side of the pictures, in pixels."""
        return self.decoder.vqvae.config.image_size

    @property
    def n_embed(self) -> int:
        """How many codes there are."""
        return self.decoder.vqvae.config.n_embed

    @classmethod
    def from_pretrained(
        cls, folder: Path | str, *, device: torch.device | str | None = None
    ) -> Painter:
        """Load the folder of a finished run, to paint as it was judged.

        Args:
            folder: what `dvc repro` or `codebrush export` made; or "owner/name", an export on the
                Hugging Face Hub.
            device: None: the machine's accelerator if it has one, else the CPU.

        Raises:
            UserError: something is missing, damaged or older than the models beside it.
        """
        return cls.load(PainterFolder.find(folder), device=device)

    @classmethod
    def load(cls, found: PainterFolder, *, device: torch.device | str | None = None) -> Painter:
        """Load the models of a folder that was read already."""
        device = best_device() if device is None else torch.device(device)
        painter = cls.from_folders(**found.parts, device=device)
        painter.settings = found.settings
        return painter

    @classmethod
    def from_folders(
        cls,
        *,
        blip: Path | str,
        prior: Path | str,
        vqvae: Path | str,
        decoder: Path | str | None = None,
        device: torch.device,
    ) -> Painter:
        """Load the folders that the training stages made.

        Args:
            decoder: the flow decoder's; None: the VQ-VAE's own decoder paints alone.
        """
        return cls(
            BlipReader.from_pretrained(blip).to(device),
            load_prior(prior).to(device),
            Decoder.from_pretrained(vqvae=vqvae, flow=decoder, device=device, decode_only=True),
        )

    def paint(
        self,
        prompts: str | Sequence[str],
        settings: PaintSettings | None = None,
        *,
        samples: int = 1,
        seed: int = 0,
        strict: bool = True,
        condition: TextCondition | None = None,
        **changes: Any,
    ) -> list[Painting]:
        """Paint each prompt `samples` times; no prompt, no picture.

        Prompts are normalised as the texts of training are (see `pipeline.data.texts`). A picture
        depends on the models, the settings, the seed, its prompt and its number alone, not on the
        other prompts.

        Args:
            settings: None: those that the models were judged with.
            strict: refuse a prompt that cannot be painted as it stands; else one that is too long
                is cut, as the texts of training are.
            condition: what BLIP makes of the prompts; None: it is asked. Beside other prompts its
                last bits may be others.
            changes: settings by name that are to differ: `guidance_scale=3.0`.

        Raises:
            UserError: a prompt is empty, longer than the text model takes, or of unknown letters;
                `top_k` is more than there are codes; or `decoder_steps` asks for a flow decoder,
                and there is none.
            ValueError: a setting that cannot be.
        """
        settings = self._settings(settings, changes)
        if isinstance(prompts, str):
            prompts = [prompts]
        if strict:
            self.blip.check_prompts(prompts)
        return self._paint(list(prompts), settings, samples=samples, seed=seed, condition=condition)

    def repaint(
        self,
        picture: np.ndarray,
        area: np.ndarray,
        prompt: str,
        settings: PaintSettings | None = None,
        *,
        samples: int = 1,
        seed: int = 0,
        **changes: Any,
    ) -> list[Painting]:
        """Paint an area of a picture anew, `samples` times; all else of it stays as it is.

        The codes of the area are drawn given all others. A place of the grid of codes that the area
        only touches is drawn as a whole, and seen where the area is.

        Args:
            picture: (H, W, 3) uint8, of the side that the painter paints.
            area: (H, W) bool, what is painted anew.
            settings, samples, seed, changes: as of `paint`.

        Raises:
            UserError: the picture is of another size, the area is empty, the prompt cannot be
                painted, or the prior's order of drawing does not allow this area.
        """
        side = self.image_size
        if picture.shape != (side, side, 3) or area.shape != (side, side):
            raise UserError(
                f"picture {picture.shape} and area {area.shape}: expected {side} x {side} pixels"
            )
        if not area.any():
            raise UserError("there is no area to paint anew")
        self.blip.check_prompts([prompt])
        settings = self._settings(settings, changes)
        return self._paint(
            [prompt], settings, samples=samples, seed=seed, around=Around(picture, area)
        )

    def _paint(
        self,
        prompts: Sequence[str],
        settings: PaintSettings,
        *,
        samples: int,
        seed: int,
        condition: TextCondition | None = None,
        around: Around | None = None,
    ) -> list[Painting]:
        prompts = [normalise(join_surrogates(prompt)) for prompt in prompts]
        if not prompts:
            return []
        draw = self._draw(settings)
        if condition is None:
            condition = self.blip.embed_texts(prompts)
        drawn = [
            (row, sample, candidate)
            for row in range(len(prompts))
            for sample in range(samples)
            for candidate in range(settings.candidates)
        ]
        given = None if around is None else self._given(around, condition.to(self.device))
        images: list[np.ndarray] = []
        batches = [
            drawn[i : i + settings.batch_size] for i in range(0, len(drawn), settings.batch_size)
        ]
        for batch in progress(batches, total=len(batches), label="painting"):
            rows = torch.tensor([row for row, _, _ in batch])
            named = [(prompts[row], sample, candidate) for row, sample, candidate in batch]
            texts = condition[rows].to(self.device)
            codes = draw(
                texts,
                [_generator(seed, *name) for name in named],
                None if given is None else given.expand(len(batch), -1, -1),
            )
            pictures = self.decoder.draw(
                codes,
                texts.pooled,
                settings,
                generators=[_generator(seed, "decoder", *name) for name in named],
            )
            images.extend(to_uint8(pictures).cpu().numpy())
        if around is not None:
            images = [np.where(around.area[..., None], new, around.picture) for new in images]
        of = settings.candidates
        return [
            self._ranked(prompts[row], sample, np.stack(images[first : first + of]))
            for first, (row, sample, _) in list(enumerate(drawn))[::of]
        ]

    def _ranked(self, prompt: str, sample: int, draws: np.ndarray) -> Painting:
        # One picture's candidates at a time: no sum, hence no choice, depends on other pictures.
        return Painting(prompt, sample, draws, self.blip.likelihoods(draws, prompt))

    def _given(self, around: Around, condition: TextCondition) -> Tensor:
        """The picture's packed codes (1, h, w), with -1 where the area reaches."""
        picture = to_float(torch.tensor(around.picture)[None].to(self.device))
        codes = self.decoder.encode(picture, condition.pooled)
        area = torch.from_numpy(around.area)[None, None].float()
        reached = [
            F.adaptive_max_pool2d(area, shape)[0] > 0 for shape in self.decoder.vqvae.level_shapes
        ]
        return codes.masked_fill(pack_levels(reached).to(codes.device), OPEN)

    def _settings(self, settings: PaintSettings | None, changes: dict[str, Any]) -> PaintSettings:
        settings = settings or self.settings
        if settings is None:
            raise ValueError("paint: expected settings, for these models came without any")
        settings = PaintSettings.of(**{**settings.values_of(PaintSettings), **changes})
        if (k := settings.top_k) > self.n_embed:
            raise UserError(f"top_k = {k}: at most {self.n_embed}, the number of codes")
        return settings

    def _draw(self, settings: PaintSettings) -> Draw:
        """The prior's drawing, kept while its settings stay: on a GPU it has recorded graphs."""
        wanted = DrawSettings.of(**settings.values_of(DrawSettings))
        if self._drawing is None or self._drawing[0] != wanted:
            self._drawing = wanted, self.prior.drawing(wanted)
        return self._drawing[1]


def _generator(*parts: int | str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(*parts))
