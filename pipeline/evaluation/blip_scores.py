"""Does BLIP know which text belongs to which picture? Asked on pictures that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.data.embeddings import ImageEmbeddings, TextEmbeddings
from pipeline.data.pairs import captioned
from pipeline.data.pixels import Pixels
from pipeline.evaluation.asking import AskedBlip
from pipeline.evaluation.blip_opinion import BlipOpinion
from pipeline.evaluation.blip_sight import (
    CONFUSION,
    attributes_right,
    captions_right,
    kinds_right,
    probe,
    told_kinds,
)
from pipeline.evaluation.hard_negatives import changed_titles, hard_negatives, other_captions
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.labels import common_labels
from pipeline.evaluation.matching import (
    auc,
    matched_only,
    matching,
    relatedness,
    retrieval,
    similarity,
)
from pipeline.evaluation.scores import Figures, Scores, prefixed
from pipeline.evaluation.shuffling import shuffled_rows


def blip_scores(
    opinion: BlipOpinion,
    judged: Judged,
    *,
    pixels: Pixels,
    image_embeds: ImageEmbeddings,
    text_embeds: TextEmbeddings,
    wordnet: Path | None,
    labels: int,
    pictures_per_label: int,
    seed: int,
) -> Scores:
    """Judge matching and retrieval on test pairs, what BLIP cannot see, and what it makes of draws.

    Args:
        pixels: all pictures, at BLIP's size.
        wordnet: nltk's data folder; None: no METEOR.
        labels: the commonest kinds of things, which are told apart.
        pictures_per_label: of training, for a kind to be learned.
        seed: of the draw of mismatched captions.
    """
    blip, pairs = opinion.asked, judged.pairs
    threshold = judged.blip.thresholds.captions
    scores = Scores()
    asked = captioned(pairs)
    pictures = pixels[pixels.rows(pair.image for pair in asked)]
    texts = [pair.caption for pair in asked]

    seen = image_embeds.vectors[image_embeds.rows([pair.image for pair in asked])].numpy()
    read = text_embeds.condition.pooled[text_embeds.rows(texts)].numpy()
    scores.take(
        "matching",
        _matching(blip, pictures, texts, seen=seen, read=read, threshold=threshold, seed=seed),
        under="",
    )
    names = sorted({pair.image for pair in asked})
    place_of = {name: place for place, name in enumerate(names)}
    scores.take(
        "retrieval",
        retrieval(
            image_embeds.vectors[image_embeds.rows(names)].numpy(),
            read,
            texts,
            [place_of[pair.image] for pair in asked],
        ),
    )
    # MUSTI's: does the passage speak of a smell that the picture shows?
    labelled = [pair for pair in pairs if pair.match and pair.text]
    pictures = pixels[pixels.rows(pair.image for pair in labelled)]
    probabilities = blip.match(pictures, [pair.text for pair in labelled])
    matches_labelled = [pair.match for pair in labelled]
    scores.take(
        "subtask1",
        relatedness(
            matches_labelled,
            probabilities,
            threshold=judged.blip.thresholds.passages,
            pictures=[pair.image for pair in labelled],
            seed=seed,
        ),
    )
    references = judged.references
    negatives = (
        changed_titles(judged.prompts)
        if judged.is_sample
        else other_captions(judged.prompts, references.labels, seed=seed)
    )
    near = hard_negatives(blip, references.real, judged.prompts, negatives, threshold=threshold)
    scores.take("hard", near)
    scores.take("captions", _captions(opinion, judged))
    train = judged.train_codes.pairs
    objects = [pair.main_object for pair in train]
    kept = common_labels(objects, at_least=pictures_per_label, at_most=labels)
    scores.take("kinds", _kinds(opinion, judged, [p.caption for p in train], objects, kept))
    shown = {pair.image: pair.main_object for pair in asked}
    rows = image_embeds.rows([pair.image for pair in train]), image_embeds.rows(list(shown))
    learned, held_out = (image_embeds.vectors[part].numpy() for part in rows)
    told = probe(learned, objects, held_out, list(shown.values()), kept, seed=seed)
    scores.take("probe", told)
    scores.take("bleu, rouge_1, rouge_l", opinion.overlaps(), under="")
    if wordnet is None:
        scores.leave_out("meteor", "it needs WordNet, and pretrained.wordnet is off")
    else:
        scores.take("meteor", opinion.meteors(wordnet))
    scores.take("similarity", opinion.similarities())
    scores.take("match", opinion.matches())
    return scores


def _captions(opinion: BlipOpinion, judged: Judged) -> Figures:
    """How many captions of real pictures are right, on the sample by attribute too."""
    titles, said = judged.prompts, opinion.captions["real"]
    yield from captions_right(titles, said, spelling=opinion.spelling)
    if judged.is_sample:
        yield from attributes_right(titles, said)


def _kinds(
    opinion: BlipOpinion,
    judged: Judged,
    training: Sequence[str],
    objects: Sequence[str],
    kept: Sequence[str],
) -> Figures:
    """What kinds the captions of real pictures name, beside the titles themselves (the ceiling)."""
    texts = {"captions": opinion.captions["real"], "titles": judged.prompts}
    told = told_kinds(training, objects, kept, texts)
    labels = judged.references.labels
    yield from kinds_right(told["captions"], labels, kept)
    ceiling = kinds_right(told["titles"], labels, kept)
    yield from prefixed("titles", (f for f in ceiling if not f[0].startswith(CONFUSION)))


def _matching(
    blip: AskedBlip,
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
    near, far = (seen * read).sum(axis=1), (seen * read[other]).sum(axis=1)
    yield from prefixed("similarity", auc(near, far))
    yield from prefixed("similarity.matched", similarity(near))
    yield from prefixed("similarity.mismatched", similarity(far))
