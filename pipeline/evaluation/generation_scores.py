"""Do generated pictures show what their prompts say, and are they the prior's own?

Every measure is taken alike on the gallery's groups; `shuffled`, the floor, is the generated
pictures beside other prompts, and real test pictures are the ceiling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.data.captioned import CaptionedImages
from pipeline.data.views import to_float
from pipeline.evaluation.captions import caption_overlap, meteor
from pipeline.evaluation.frechet import frechet_distances
from pipeline.evaluation.gallery import Gallery
from pipeline.evaluation.labels import LabelClassifier, common_labels
from pipeline.evaluation.memorising import Nearest, memorising, nearest_training
from pipeline.evaluation.perceptual import lpips_distances
from pipeline.evaluation.scores import Figures, Scores
from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.models.blip import Blip

LPIPS_BATCH = 32


class BlipOpinion:
    """What BLIP makes of a gallery; each answer is worked out once, when it is asked for."""

    def __init__(self, blip: Blip, gallery: Gallery, *, seed: int) -> None:
        """Shuffle the prompts by `seed`: `others[i]` is the prompt that picture i is not of."""
        self.blip, self.gallery = blip, gallery
        self.shuffled = shuffled_rows(gallery.prompts, seed=seed)
        self.others = [gallery.prompts[row] for row in self.shuffled]

    @cached_property
    def captions(self) -> dict[str, list[str]]:
        """What the captioner says of each group's pictures."""
        return {group: self.blip.caption(found) for group, found in self.gallery.images.items()}

    @cached_property
    def embeds(self) -> dict[str, np.ndarray]:
        """The embeddings (N, D) of each group's pictures."""
        return {
            group: self.blip.embed_images(found) for group, found in self.gallery.images.items()
        }

    def overlaps(self) -> Figures:
        """BLEU and ROUGE of the captions, `measure.group`."""
        for group, captions in self.captions.items():
            for name, value in caption_overlap(self.gallery.prompts, captions):
                yield f"{name}.{group}", value
        for name, value in caption_overlap(self.others, self.captions["generated"]):
            yield f"{name}.shuffled", value

    def meteors(self, wordnet: Path) -> Figures:
        """METEOR of each group's captions."""
        for group, captions in self.captions.items():
            yield group, meteor(self.gallery.prompts, captions, nltk_data=wordnet)
        yield "shuffled", meteor(self.others, self.captions["generated"], nltk_data=wordnet)

    def similarities(self) -> Figures:
        """The mean cosine of each group's pictures and their prompts."""
        texts = self.blip.embed_texts(self.gallery.prompts).pooled.numpy()
        for group, embeds in self.embeds.items():
            yield group, float((embeds * texts).sum(axis=1).mean())
        shuffled = (self.embeds["generated"] * texts[self.shuffled]).sum(axis=1)
        yield "shuffled", float(shuffled.mean())

    def matches(self) -> Figures:
        """The mean probability that each group's pictures match their prompts."""
        images, prompts = self.gallery.images, self.gallery.prompts
        for group, found in images.items():
            yield group, float(self.blip.match(found, prompts).mean())
        yield "shuffled", float(self.blip.match(images["generated"], self.others).mean())


@dataclass(frozen=True)
class Training:
    """The real pictures that the prior learned from.

    Attributes:
        images: (M, H, W, 3) uint8.
        embeds: (M, D), BLIP's embeddings of them.
        labels: (M,) what each shows; "" for unknown.
    """

    images: np.ndarray
    embeds: np.ndarray
    labels: list[str]

    @classmethod
    def of(cls, captioned: CaptionedImages, labels: Sequence[str], blip: Blip) -> Training:
        """From training pictures and what each shows."""
        images = captioned.images.numpy()
        return cls(images, blip.embed_images(images), list(labels))


def generation_scores(
    opinion: BlipOpinion,
    training: Training,
    *,
    labels: int,
    pictures_per_label: int,
    wordnet: Path | None,
    lpips: nn.Module | None,
    nearest: Nearest,
    seed: int,
) -> Scores:
    """Judge generated pictures.

    Args:
        labels: the commonest ones that pictures are asked for.
        pictures_per_label: of training, for a label to be learned.
        wordnet: nltk's data folder; None: no METEOR.
        lpips: the measure; None: no LPIPS.
        nearest: each generated picture's nearest training picture.
        seed: of scikit-learn's draws.
    """
    scores = Scores()
    images = opinion.gallery.images
    scores.take("bleu, rouge_1, rouge_l", opinion.overlaps(), under="")
    if wordnet is None:
        scores.leave_out("meteor", "it needs WordNet, and pretrained.wordnet is off")
    else:
        scores.take("meteor", opinion.meteors(wordnet))
    scores.take("similarity", opinion.similarities())
    scores.take("match", opinion.matches())
    kept = common_labels(training.labels, at_least=pictures_per_label, at_most=labels)
    scores.take("label_accuracy", label_accuracies(opinion, training, kept, seed=seed))
    others = {group: embeds for group, embeds in opinion.embeds.items() if group != "real"}
    distances = frechet_distances(
        opinion.embeds["real"], {"train": training.embeds, **others}, seed=seed
    )
    scores.take("frechet", distances)
    if lpips is None:
        scores.leave_out("lpips", "it needs a trained backbone, and pretrained.lpips is off")
    else:
        scores.take("lpips", _lpips(lpips, images, opinion.shuffled))
    held_out = nearest_training(np.unique(images["real"], axis=0), training.images)
    scores.take("memorising", memorising(nearest.distances, held_out.distances))
    return scores


def label_accuracies(
    opinion: BlipOpinion, training: Training, kept: Sequence[str], *, seed: int
) -> Figures:
    """The balanced accuracy of each group's labels, by a classifier of BLIP's embeddings."""
    labels = opinion.gallery.labels
    classifier = LabelClassifier.fit(training.embeds, training.labels, kept, seed=seed)
    for group, embeds in opinion.embeds.items():
        yield group, classifier.balanced_accuracy(embeds, labels)
    others = [labels[row] for row in opinion.shuffled]
    yield "shuffled", classifier.balanced_accuracy(opinion.embeds["generated"], others)


def _lpips(measure: nn.Module, images: Mapping[str, np.ndarray], shuffled: np.ndarray) -> Figures:
    """Mean LPIPS to the real test picture of the same prompt, and to that of another one."""
    floats: dict[str, Tensor] = {
        group: to_float(torch.from_numpy(pixels)) for group, pixels in images.items()
    }
    real = floats.pop("real")
    pairs = {group: (found, real) for group, found in floats.items()}
    pairs["shuffled"] = (floats["generated"], real[torch.from_numpy(shuffled)])
    for group, (first, second) in pairs.items():
        yield group, float(lpips_distances(measure, first, second, batch_size=LPIPS_BATCH).mean())
