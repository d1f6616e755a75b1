"""Does BLIP know which text belongs to which picture? Asked on pictures that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.data.embeddings import ImageEmbeddings, TextEmbeddings
from pipeline.data.images import load_images
from pipeline.data.pairs import captioned
from pipeline.evaluation.blip_opinion import BlipOpinion
from pipeline.evaluation.hard_negatives import changed_titles, hard_negatives, other_captions
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.matching import (
    matched_only,
    matching,
    relatedness,
    retrieval,
    similarity,
)
from pipeline.evaluation.scores import Figures, Scores, prefixed
from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.models.blip import Blip


def blip_scores(
    opinion: BlipOpinion,
    judged: Judged,
    *,
    images: Path,
    image_embeds: ImageEmbeddings,
    text_embeds: TextEmbeddings,
    wordnet: Path | None,
    threshold: float,
    seed: int,
) -> Scores:
    """Judge matching and retrieval on test pairs, what BLIP cannot see, and what it makes of draws.

    Args:
        images: the folder of pictures.
        wordnet: nltk's data folder; None: no METEOR.
        threshold: a pair is called matched from this probability on.
        seed: of the draw of mismatched captions.
    """
    blip, pairs = judged.blip, judged.pairs
    scores = Scores()
    asked = captioned(pairs)
    pictures = load_images(images, [pair.image for pair in asked], blip.image_size)
    texts = [pair.caption for pair in asked]

    seen = image_embeds.vectors[image_embeds.rows([pair.image for pair in asked])].numpy()
    read = text_embeds.condition.pooled[text_embeds.rows(texts)].numpy()
    scores.take(
        "matching",
        _matching(blip, pictures, texts, seen=seen, read=read, threshold=threshold, seed=seed),
        under="",
    )
    names = sorted({pair.image for pair in asked})
    scores.take(
        "retrieval",
        retrieval(
            image_embeds.vectors[image_embeds.rows(names)].numpy(),
            read,
            texts,
            [names.index(pair.image) for pair in asked],
        ),
    )
    # MUSTI's: does the passage speak of a smell that the picture shows?
    labelled = [pair for pair in pairs if pair.match and pair.text]
    pictures = load_images(images, [pair.image for pair in labelled], blip.image_size)
    probabilities = blip.match(pictures, [pair.text for pair in labelled])
    matches_labelled = [pair.match for pair in labelled]
    scores.take("subtask1", relatedness(matches_labelled, probabilities, threshold=threshold))
    references = judged.references
    negatives = (
        changed_titles(judged.prompts)
        if judged.is_sample
        else other_captions(judged.prompts, references.labels, seed=seed)
    )
    near = hard_negatives(blip, references.real, judged.prompts, negatives, threshold=threshold)
    scores.take("hard", near)
    scores.take("bleu, rouge_1, rouge_l", opinion.overlaps(), under="")
    if wordnet is None:
        scores.leave_out("meteor", "it needs WordNet, and pretrained.wordnet is off")
    else:
        scores.take("meteor", opinion.meteors(wordnet))
    scores.take("similarity", opinion.similarities())
    scores.take("match", opinion.matches())
    return scores


def _matching(
    blip: Blip,
    pictures: np.ndarray,
    texts: Sequence[str],
    *,
    seen: np.ndarray,
    read: np.ndarray,
    threshold: float,
    seed: int,
) -> Figures:
    """Probabilities and similarities of matched pairs, and of pictures beside others' captions.

    Args:
        seen, read: (N, D), embeddings of the pictures and of the texts.
    """
    other = shuffled_rows(texts, seed=seed)
    matched = blip.match(pictures, texts)
    mismatched = blip.match(pictures, [texts[row] for row in other])
    yield from prefixed("matching", matching(matched, mismatched, threshold=threshold))
    yield from prefixed("matched_only", matched_only(matched, threshold=threshold))
    yield from prefixed("probability.matched", similarity(matched))
    yield from prefixed("probability.mismatched", similarity(mismatched))
    yield from prefixed("similarity.matched", similarity((seen * read).sum(axis=1)))
    yield from prefixed("similarity.mismatched", similarity((seen * read[other]).sum(axis=1)))
