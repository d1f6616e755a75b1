"""Does BLIP know which text belongs to which picture? Asked on test pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.data.embeddings import ImageEmbeddings, TextEmbeddings
from pipeline.data.images import load_images
from pipeline.data.pairs import Pair, captioned
from pipeline.evaluation.matching import (
    matched_only,
    matching,
    relatedness,
    retrieval,
    similarity,
)
from pipeline.evaluation.scores import Scores
from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.models.blip import Blip


def blip_scores(
    blip: Blip,
    pairs: Sequence[Pair],
    *,
    images: Path,
    image_embeds: ImageEmbeddings,
    text_embeds: TextEmbeddings,
    threshold: float,
    seed: int,
) -> Scores:
    """Judge matching, similarity and retrieval.

    Args:
        pairs: of the test split.
        images: the folder of pictures.
        threshold: a pair is called matched from this probability on.
        seed: of the draw of mismatched captions.
    """
    scores = Scores()
    shown = captioned(pairs)
    texts = [pair.caption for pair in shown]
    pictures = sorted({pair.image for pair in shown})
    seen = image_embeds.vectors[image_embeds.rows([pair.image for pair in shown])].numpy()
    read = text_embeds.pooled[text_embeds.rows(texts)].numpy()

    def probabilities(captions: Sequence[str]) -> np.ndarray:
        pixels = load_images(images, [pair.image for pair in shown], blip.image_size)
        return blip.match(pixels, captions)

    def both() -> dict[str, object]:
        other = shuffled_rows(texts, seed=seed)
        matched = probabilities(texts)
        mismatched = probabilities([texts[row] for row in other])
        return {
            "matching": matching(matched, mismatched, threshold=threshold),
            "matched_only": matched_only(matched, threshold=threshold),
            "probability": {
                "matched": similarity(matched),
                "mismatched": similarity(mismatched),
            },
            "similarity": {
                "matched": similarity((seen * read).sum(axis=1)),
                "mismatched": similarity((seen * read[other]).sum(axis=1)),
            },
        }

    scores.measure_all(both, name="matching")  # type: ignore[arg-type]
    scores.measure(
        "retrieval",
        lambda: retrieval(
            image_embeds.vectors[image_embeds.rows(pictures)].numpy(),
            read,
            texts,
            [pictures.index(pair.image) for pair in shown],
        ),
    )
    labelled = [pair for pair in pairs if pair.label and pair.text]
    pixels = load_images(images, [pair.image for pair in labelled], blip.image_size)
    scores.measure(
        "subtask1",  # MUSTI's: does the passage speak of a smell that the picture shows?
        lambda: relatedness(
            [pair.label for pair in labelled],
            blip.match(pixels, [pair.text for pair in labelled]),
            threshold=threshold,
        ),
    )
    return scores
