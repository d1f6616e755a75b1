"""All that a run is judged on: its models, its pictures, and real pictures of the same prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.captioned import CaptionedImages
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import Pair, captioned
from pipeline.data.pixels import Pixels
from pipeline.decoder import Decoder
from pipeline.evaluation.coding import ThroughCodes
from pipeline.evaluation.gallery import Draws, References
from pipeline.evaluation.references import fresh_references, matched_references
from pipeline.models.blip import Blip
from pipeline.models.vqvae import VQVAE


@dataclass(frozen=True)
class Judged:
    """A run's models and pictures.

    Attributes:
        decoder_steps: of the flow decoder that painted the draws; 0: the least-error one did.
        pairs: of the test split, those without a caption too.
        codes: the whole store's, joined to the captioned pairs.
        train, test: their pictures as they are, beside the embeddings of their captions.
        draws: what the prior drew, and `references`: real pictures of the same prompts.
        is_sample: the prompts are titles of the sample, whose whole truth is known.
    """

    device: torch.device
    blip: Blip
    decoder: Decoder
    decoder_steps: int
    pairs: Sequence[Pair]
    codes: CaptionedCodes
    train: CaptionedImages
    test: CaptionedImages
    draws: Draws
    references: References
    is_sample: bool

    @classmethod
    def load(
        cls,
        blip: Blip,
        decoder: Decoder,
        pairs: Sequence[Pair],
        *,
        codes: Path,
        texts: TextEmbeddings,
        pixels: Pixels,
        generated: Path,
        decoder_steps: int,
        sample_size: int | None,
        device: torch.device,
        seed: int,
    ) -> Judged:
        """Read the store at `codes`, and the folder of `generated` pictures.

        Args:
            pixels: all pictures, at the VQ-VAE's size.
            sample_size: at which the sample's pictures are painted; None: the data are others.
            seed: of the draw of real pictures, and of what is drawn from their codes.
        """
        joined = CaptionedCodes.load(codes, captioned(pairs), texts)
        train, test = joined.of("train"), joined.of("test")
        image_size = decoder.vqvae.config.image_size
        learned, held_out = (
            CaptionedImages.load(part.pairs, texts, pixels) for part in (train, test)
        )
        draws = Draws.load(generated)
        prompts = list(dict.fromkeys(draws.prompts))
        through_codes = ThroughCodes(decoder, blip, steps=decoder_steps, seed=seed)
        if sample_size is not None:
            references = fresh_references(
                prompts, through_codes, size=sample_size, image_size=image_size, seed=seed
            )
        else:
            references = matched_references(
                prompts,
                through_codes,
                test=test.pairs,
                test_images=held_out.images,
                train=train.pairs,
                train_images=learned.images,
                seed=seed,
            )
        return cls(
            device=device,
            blip=blip,
            decoder=decoder,
            decoder_steps=decoder_steps,
            pairs=[pair for pair in pairs if pair.split == "test"],
            codes=joined,
            train=learned,
            test=held_out,
            draws=draws,
            references=references,
            is_sample=sample_size is not None,
        )

    @property
    def vqvae(self) -> VQVAE:
        """What makes codes of pictures."""
        return self.decoder.vqvae

    @cached_property
    def training(self) -> np.ndarray:
        """The training pictures, (M, H, W, 3) uint8, all in memory."""
        return self.train.images[:].numpy()

    @property
    def prompts(self) -> list[str]:
        """The distinct prompts, in the order of the references."""
        return list(self.references.prompts)
