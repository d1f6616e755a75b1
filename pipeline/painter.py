"""From a line of text to pictures: BLIP reads it, the prior draws codes, the VQ-VAE paints them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.data.condition import TextCondition
from pipeline.data.texts import join_surrogates, normalise
from pipeline.data.views import to_uint8
from pipeline.devices import warn_of_emulation
from pipeline.models.blip import Blip
from pipeline.models.prior import Prior
from pipeline.models.vqvae import VQVAE
from pipeline.progress import progress
from pipeline.sampling import PriorSampler, Sampler
from pipeline.sampling_settings import SamplingSettings
from pipeline.seeds import derive_seed

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Painting:
    """One sample for one prompt.

    Attributes:
        image: (H, W, 3) uint8, the candidate that matches the prompt best.
        match: its probability, by BLIP, of belonging to the prompt.
        first: (H, W, 3) uint8, the first candidate drawn, in whose choice BLIP had no say.
    """

    prompt: str
    sample: int
    image: np.ndarray
    match: float
    first: np.ndarray


class Painter:
    """The trained models that together paint a text."""

    def __init__(self, blip: Blip, prior: Prior, vqvae: VQVAE) -> None:
        self.blip, self.prior, self.vqvae = blip, prior, vqvae
        self.device = next(vqvae.parameters()).device

    @classmethod
    def from_pretrained(
        cls, *, blip: Path | str, prior: Path | str, vqvae: Path | str, device: torch.device
    ) -> Painter:
        """Load the folders that the training stages made."""
        return cls(
            Blip.from_pretrained(blip).to(device),
            Prior.from_pretrained(prior).to(device),
            VQVAE.from_pretrained(vqvae).to(device),
        )

    def paint(
        self,
        prompts: Sequence[str],
        settings: SamplingSettings,
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
            UserError: a prompt is empty, longer than the text model takes, or of unknown letters.
        """
        if strict:
            self.blip.check_prompts(prompts)
        prompts = [normalise(join_surrogates(prompt)) for prompt in prompts]
        if not prompts:
            return []
        warn_of_emulation(settings.precision)
        sampler = PriorSampler(
            Sampler(
                level,
                temperature=settings.temperature,
                top_k=settings.top_k,
                top_p=settings.top_p,
                guidance_scale=settings.guidance_scale,
            )
            for level in self.prior.cast(DTYPES[settings.precision]).levels
        )
        states = self.blip.embed_texts(prompts)
        condition = TextCondition(states.pooled, states.tokens, states.mask)
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
            generators = [
                torch.Generator().manual_seed(derive_seed(seed, prompts[row], sample, candidate))
                for row, sample, candidate in batch
            ]
            texts = condition[rows].to(self.device)
            codes = sampler.draw(texts, generators)
            images.extend(to_uint8(self.vqvae.decode(codes, texts.pooled)).cpu().numpy())
        return list(self._choose(prompts, images, samples=samples, of=settings.candidates))

    def _choose(
        self, prompts: Sequence[str], images: Sequence[np.ndarray], *, samples: int, of: int
    ) -> Iterable[Painting]:
        asked = [prompt for prompt in prompts for _ in range(samples * of)]
        matches = self.blip.match(np.stack(images), asked).reshape(-1, of)
        for index, scores in enumerate(matches):
            best = int(scores.argmax())
            yield Painting(
                prompt=prompts[index // samples],
                sample=index % samples,
                image=images[index * of + best],
                match=float(scores[best]),
                first=images[index * of],
            )
