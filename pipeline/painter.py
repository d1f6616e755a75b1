"""From text to pictures: BLIP reads it, the prior draws codes, the decoder paints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.data.texts import join_surrogates, normalise
from pipeline.data.views import to_uint8
from pipeline.decoder import Decoder
from pipeline.models.blip import Blip
from pipeline.priors import Prior, load_prior
from pipeline.progress import progress
from pipeline.sampling_settings import PaintSettings
from pipeline.seeds import derive_seed


@dataclass(frozen=True)
class Painting:
    """One sample for one prompt: the candidates that were drawn, and which of them was chosen.

    Attributes:
        draws: (n, H, W, 3) uint8, in the order in which they were drawn.
        matches: (n,) the probability of each, by BLIP, of belonging to the prompt.
    """

    prompt: str
    sample: int
    draws: np.ndarray
    matches: np.ndarray

    @property
    def chosen(self) -> int:
        """Which draw matches the prompt best (best-of-n reranking)."""
        return int(self.matches.argmax())

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8, the chosen draw."""
        return self.draws[self.chosen]

    @property
    def match(self) -> float:
        """The chosen draw's probability of belonging to the prompt."""
        return float(self.matches[self.chosen])


class Painter:
    """The trained models that together paint a text."""

    def __init__(self, blip: Blip, prior: Prior, decoder: Decoder) -> None:
        self.blip, self.prior, self.decoder = blip, prior, decoder
        self.device = decoder.device

    @classmethod
    def from_pretrained(
        cls,
        *,
        blip: Path | str,
        prior: Path | str,
        vqvae: Path | str,
        decoder: Path | str | None,
        device: torch.device,
    ) -> Painter:
        """Load the folders that the training stages made.

        Args:
            decoder: the flow decoder's; None: the VQ-VAE's own decoder paints alone.
        """
        return cls(
            Blip.from_pretrained(blip).to(device),
            load_prior(prior).to(device),
            Decoder.from_pretrained(vqvae=vqvae, flow=decoder, device=device),
        )

    def paint(
        self,
        prompts: Sequence[str],
        settings: PaintSettings,
        *,
        samples: int,
        seed: int,
        strict: bool = True,
    ) -> list[Painting]:
        """Paint each prompt `samples` times; no prompt, no picture.

        Prompts are normalised as the texts of training are (see `pipeline.data.texts`). A picture
        depends on the models, the settings, the seed, its prompt and its number alone, not on the
        other prompts.

        Args:
            strict: refuse a prompt that cannot be painted as it stands; else one that is too long
                is cut, as the texts of training are.

        Raises:
            UserError: a prompt is empty, longer than the text model takes, or of unknown letters;
                or `decoder_steps` asks for a flow decoder, and there is none.
        """
        if strict:
            self.blip.check_prompts(prompts)
        prompts = [normalise(join_surrogates(prompt)) for prompt in prompts]
        if not prompts:
            return []
        draw = self.prior.drawing(settings)
        condition = self.blip.embed_texts(prompts)
        drawn = [
            (row, sample, candidate)
            for row in range(len(prompts))
            for sample in range(samples)
            for candidate in range(settings.candidates)
        ]
        images: list[np.ndarray] = []
        batches = [
            drawn[i : i + settings.batch_size] for i in range(0, len(drawn), settings.batch_size)
        ]
        for batch in progress(batches, total=len(batches), label="painting"):
            rows = torch.tensor([row for row, _, _ in batch])
            named = [(prompts[row], sample, candidate) for row, sample, candidate in batch]
            texts = condition[rows].to(self.device)
            codes = draw(texts, [_generator(seed, *name) for name in named])
            pictures = self.decoder.draw(
                codes,
                texts.pooled,
                steps=settings.decoder_steps,
                generators=[_generator(seed, "decoder", *name) for name in named],
            )
            images.extend(to_uint8(pictures).cpu().numpy())
        of = settings.candidates
        asked = [prompts[row] for row, _, _ in drawn]
        matches = self.blip.match(np.stack(images), asked) if images else np.empty(0)
        return [
            Painting(
                prompt=prompts[drawn[first][0]],
                sample=drawn[first][1],
                draws=np.stack(images[first : first + of]),
                matches=matches[first : first + of],
            )
            for first in range(0, len(drawn), of)
        ]


def _generator(*parts: int | str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(*parts))
