"""Do painted pictures show what their prompts say, and are they the prior's own?

Every measure is taken alike on five groups: `generated` pictures; `first`, those that the matching
score had no say in; `reconstructed` and `real` test pictures of the same prompts (the ceiling); and
`shuffled`, generated pictures beside other prompts (the floor).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.data.views import to_float
from pipeline.evaluation.captions import caption_overlap, meteor
from pipeline.evaluation.frechet import frechet_distances
from pipeline.evaluation.labels import LabelClassifier
from pipeline.evaluation.memorising import Nearest, memorising, nearest_training
from pipeline.evaluation.perceptual import lpips_distances
from pipeline.evaluation.scores import Scores
from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.models.blip import Blip

LPIPS_BATCH = 32


@dataclass(frozen=True)
class Gallery:
    """Pictures of each test prompt, row by row.

    Attributes:
        prompts: (N,) texts.
        labels: (N,) what each prompt asks for; "" where that is unknown.
        images: each group's pictures, (N, H, W, 3) uint8: generated, first, reconstructed, real.
    """

    prompts: list[str]
    labels: list[str]
    images: Mapping[str, np.ndarray]


def generation_scores(
    blip: Blip,
    gallery: Gallery,
    *,
    training: np.ndarray,
    training_embeds: np.ndarray,
    classifier: Callable[[], LabelClassifier],
    wordnet: Path | None,
    lpips: nn.Module | None,
    seed: int,
) -> tuple[Scores, dict[str, list[str]], Nearest]:
    """Judge painted pictures.

    Args:
        training: (M, H, W, 3) uint8, the pictures that the prior learned from.
        training_embeds: (M, D), BLIP's embeddings of them.
        classifier: builds the classifier of labels, fitted on real training pictures.
        wordnet: nltk's data folder; None: no METEOR.
        lpips: the measure; None: no LPIPS.
        seed: of the draw that shuffles prompts.

    Returns:
        The scores, BLIP's captions of each group, each generated picture's nearest training one.
    """
    scores = Scores()
    prompts, images = gallery.prompts, gallery.images
    other = shuffled_rows(prompts, seed=seed)
    captions = {group: blip.caption(pixels) for group, pixels in images.items()}
    embeds = {group: blip.embed_images(pixels) for group, pixels in images.items()}
    texts = blip.embed_texts(prompts).pooled.numpy()
    elsewhere = [prompts[row] for row in other]
    spelling = blip.tokenizer.backend_tokenizer.normalizer  # of the captions

    def each(measure: Callable[[str, Sequence[str]], float]) -> dict[str, float]:
        """`measure` of every group beside its prompts, and of the generated beside others'."""
        found = {group: measure(group, prompts) for group in images}
        return {**found, "shuffled": measure("generated", elsewhere)}

    def overlaps() -> dict[str, dict[str, float]]:
        found = {
            group: caption_overlap(prompts, captions[group], spelling=spelling) for group in images
        }
        found["shuffled"] = caption_overlap(elsewhere, captions["generated"], spelling=spelling)
        return {
            name: {group: values[name] for group, values in found.items()}
            for name in found["shuffled"]
        }

    scores.measure_all(overlaps, name="bleu, rouge_1, rouge_l")  # type: ignore[arg-type]
    if wordnet is None:
        scores.leave_out("meteor", "it needs WordNet, and pretrained.wordnet is off")
    else:
        scores.measure(
            "meteor",
            lambda: each(lambda g, p: meteor(p, captions[g], nltk_data=wordnet, spelling=spelling)),
        )
    scores.measure(
        "similarity",
        lambda: {
            **{group: float((e * texts).sum(axis=1).mean()) for group, e in embeds.items()},
            "shuffled": float((embeds["generated"] * texts[other]).sum(axis=1).mean()),
        },
    )
    scores.measure("match", lambda: each(lambda g, p: float(blip.match(images[g], p).mean())))

    def label_accuracy() -> dict[str, float]:
        judge = classifier()
        found = {g: judge.balanced_accuracy(e, gallery.labels) for g, e in embeds.items()}
        wrong = [gallery.labels[row] for row in other]
        found["shuffled"] = judge.balanced_accuracy(embeds["generated"], wrong)
        return found

    scores.measure("label_accuracy", label_accuracy)
    scores.measure(
        "frechet",
        lambda: frechet_distances(
            embeds["real"],
            {
                "train": training_embeds,
                **{group: e for group, e in embeds.items() if group != "real"},
            },
            seed=seed,
        ),
    )
    if lpips is None:
        scores.leave_out("lpips", "it needs a trained backbone, and pretrained.lpips is off")
    else:
        scores.measure("lpips", lambda: _lpips(lpips, images, other))
    nearest = nearest_training(images["generated"], training)
    held_out = nearest_training(np.unique(images["real"], axis=0), training)
    scores.measure("memorising", lambda: memorising(nearest.distances, held_out.distances))
    return scores, captions, nearest


def _lpips(
    measure: nn.Module, images: Mapping[str, np.ndarray], other: np.ndarray
) -> dict[str, float]:
    """Mean LPIPS to the real test picture of the same prompt, and to that of another one."""
    floats: dict[str, Tensor] = {
        group: to_float(torch.from_numpy(pixels)) for group, pixels in images.items()
    }

    def mean(first: Tensor, second: Tensor) -> float:
        return float(lpips_distances(measure, first, second, batch_size=LPIPS_BATCH).mean())

    found = {group: mean(floats[group], floats["real"]) for group in floats if group != "real"}
    return {**found, "shuffled": mean(floats["generated"], floats["real"][torch.from_numpy(other)])}
