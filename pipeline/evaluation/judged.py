"""All that a run is judged on: its models, its pictures, and real pictures of the same prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.captioned import CaptionedImages
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import Pair, Picked, captioned, of_split
from pipeline.data.pixels import Pixels
from pipeline.decoder import Decoder
from pipeline.evaluation.coding import ThroughCodes
from pipeline.evaluation.gallery import Draws, References
from pipeline.evaluation.maps import Maps
from pipeline.evaluation.references import first_of_captions, fresh_references, matched_references
from pipeline.models.blip import Blip
from pipeline.models.vqvae import VQVAE
from pipeline.sampling_settings import DetailSettings

MOST_TRAINING, MOST_TEST = 20_000, 5_000  # pictures


@dataclass(frozen=True)
class Judged:
    """A run's models and pictures.

    Attributes:
        maps: by which processes judge them together.
        detail: how the flow decoder painted the draws; without steps the least-error one did.
        pairs: of the test split, those without a caption too.
        train_codes, test_codes: of the pictures as they are, joined to their captioned pairs.
        train, test: the pictures that those are of, beside the embeddings of their captions.
        draws: what the prior drew, and `references`: real pictures of the same prompts.
        is_sample: the prompts are titles of the sample, whose whole truth is known.
        left_out: what of the data no measure saw, for there is too much of it.
    """

    maps: Maps
    device: torch.device
    blip: Blip
    decoder: Decoder
    detail: DetailSettings
    pairs: Sequence[Pair]
    train_codes: CaptionedCodes
    test_codes: CaptionedCodes
    train: CaptionedImages
    test: CaptionedImages
    draws: Draws
    references: References
    is_sample: bool
    left_out: dict[str, str]

    @classmethod
    def load(
        cls,
        blip: Blip,
        decoder: Decoder,
        pairs: Sequence[Pair],
        *,
        maps: Maps,
        codes: Path,
        texts: TextEmbeddings,
        pixels: Pixels,
        generated: Path,
        detail: DetailSettings,
        sample_size: int | None,
        device: torch.device,
        seed: int,
    ) -> Judged:
        """Read the store at `codes`, and the folder of `generated` pictures.

        Of more than `MOST_TRAINING` and `MOST_TEST` pictures as many are taken, evenly spread over
        the table of pairs, so that no measure takes longer or more memory with more data.

        Args:
            pixels: all pictures, at the VQ-VAE's size.
            sample_size: at which the sample's pictures are painted; None: the data are others.
            seed: of the draw of real pictures, and of what is drawn from their codes.
        """
        joined = CaptionedCodes.load(codes, captioned(pairs), texts)
        every_train, every_test = joined.of("train"), joined.of("test")
        train = every_train[spread_rows(len(every_train), MOST_TRAINING)]
        test = every_test[spread_rows(len(every_test), MOST_TEST)]
        of_test = of_split(pairs, "test")
        size = decoder.vqvae.config.image_size
        learned, held_out = (
            CaptionedImages.load(part.pairs, texts, pixels) for part in (train, test)
        )
        draws = Draws.load(generated)
        prompts = list(dict.fromkeys(draws.prompts))
        through_codes = ThroughCodes(decoder, blip, maps, detail, seed=seed)
        if sample_size is not None:
            references = fresh_references(
                prompts, through_codes, size=sample_size, image_size=size, seed=seed
            )
        else:
            asked = every_test[first_of_captions(every_test.pairs, prompts)]
            of_prompts = CaptionedImages.load(asked.pairs, texts, pixels)
            references = matched_references(
                prompts,
                through_codes,
                test=asked.pairs,
                test_images=of_prompts.images,
                train=train.pairs,
                train_images=learned.images,
                seed=seed,
            )
        return cls(
            maps=maps,
            device=device,
            blip=blip,
            decoder=decoder,
            detail=detail,
            pairs=Picked(of_test, spread_rows(len(of_test), MOST_TEST).numpy()),
            train_codes=train,
            test_codes=test,
            train=learned,
            test=held_out,
            draws=draws,
            references=references,
            is_sample=sample_size is not None,
            left_out={
                f"{name} pictures": f"{len(taken)} of {len(every)} were looked at"
                for name, taken, every in (
                    ("training", train, every_train),
                    ("test", test, every_test),
                )
                if len(taken) < len(every)
            },
        )

    @property
    def vqvae(self) -> VQVAE:
        """What makes codes of pictures."""
        return self.decoder.vqvae

    @property
    def prompts(self) -> list[str]:
        """The distinct prompts, in the order of the references."""
        return list(self.references.prompts)


def spread_rows(count: int, most: int) -> torch.Tensor:
    """At most `most` of `count` rows, evenly spread: int64, ascending."""
    taken = min(count, most)
    return torch.arange(taken) * count // max(1, taken)
