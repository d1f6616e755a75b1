"""How drawn pictures are judged here: the sample's by what they show, others by their label.

Either knows texts to be painted, and real pictures of them to compare with in LPIPS's space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.captioned import CaptionedImages
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pixels import Pixels
from pipeline.errors import UserError
from pipeline.evaluation.attributes import attribute_accuracy
from pipeline.evaluation.distribution import distribution
from pipeline.evaluation.features import FeatureSpace, backbone_space
from pipeline.evaluation.judging import fit_judge
from pipeline.evaluation.labels import LabelClassifier, common_labels, label_accuracy
from pipeline.evaluation.perceptual import find_lpips
from pipeline.evaluation.references import first_of_captions
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.judge.model import Judge
from pipeline.judge.pictures import REFERENCES, fresh_pictures
from pipeline.params import load_section
from pipeline.sample.titles import TITLES
from stages import layout

# Heading, key, digits.
Columns = tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class ByAttributes:
    """The sample's: every title, and pictures that no model has seen.

    Attributes:
        columns: of a table, those of its figures that say most.
        titles: (P,) distinct texts to be painted.
        draws: how many pictures of each.
        real: (P, H, W, 3) uint8, a real picture of each.
        features: (P, D), those of the real pictures in `space`.
    """

    columns: ClassVar[Columns] = (
        ("all right", "all", 3),
        ("count", "count", 3),
        ("new titles", "all_unseen", 3),
    )
    titles: ClassVar[Sequence[str]] = TITLES
    draws: ClassVar[int] = 2
    judge: Judge
    space: FeatureSpace
    real: np.ndarray
    features: np.ndarray

    def others(self) -> np.ndarray:
        """Another real picture of each title, which no model has seen either: as `real`."""
        size = load_section(layout.PARAMS, "data.sample.size", int)
        return fresh_pictures(
            list(TITLES), purpose=REFERENCES, size=size, image_size=self.real.shape[1], seed=1
        )

    @classmethod
    def load(cls, image_size: int, space: FeatureSpace) -> ByAttributes:
        """Of the run in this folder."""
        judge = fit_judge(layout.JUDGE, device=torch.device("cpu"))
        size = load_section(layout.PARAMS, "data.sample.size", int)
        real = fresh_pictures(
            list(TITLES), purpose=REFERENCES, size=size, image_size=image_size, seed=0
        )
        return cls(judge, space, real, space(real))

    def figures(self, pictures: np.ndarray) -> Mapping[str, float]:
        """What the pictures (P, n, H, W, 3) show, of what their titles say."""
        titles = [title for title in self.titles for _ in range(pictures.shape[1])]
        answers = self.judge.answers(pictures.reshape(-1, *pictures.shape[2:]), titles)
        made, unit = self.space(pictures[:, 0]), self.space.kid_unit
        return {
            **dict(attribute_accuracy(titles, answers)),
            **dict(distribution(self.features, made, seed=0, kid_unit=unit)),
        }


@dataclass(frozen=True)
class ByLabel:
    """Any other data's: the test captions, and their own pictures.

    Attributes:
        columns, titles, draws, real, features: as above.
        labels: (P,) what each title asks for.
    """

    columns: ClassVar[Columns] = (
        ("label accuracy", "label_accuracy", 3), ("of real", "real.label_accuracy", 3),
        ("worst label", "label_worst", 3),
    )  # fmt: skip
    draws: ClassVar[int] = 1
    titles: Sequence[str]
    labels: Sequence[str]
    classifier: LabelClassifier
    space: FeatureSpace
    real: np.ndarray
    features: np.ndarray

    @classmethod
    def load(
        cls, image_size: int, codes: CaptionedCodes, texts: TextEmbeddings, space: FeatureSpace
    ) -> ByLabel:
        """Of the run in this folder."""
        settings = load_section(layout.PARAMS, "evaluate", EvaluateSettings)
        pixels = Pixels.open(layout.VQVAE_PIXELS, image_size)
        train, test = codes.of("train"), codes.of("test")
        titles = list(dict.fromkeys(pair.caption for pair in test.pairs))
        asked = test[first_of_captions(test.pairs, titles)]
        known, real = (
            CaptionedImages.load(part.pairs, texts, pixels).images[torch.arange(len(part))].numpy()
            for part in (train, asked)
        )
        of_known = [pair.main_object for pair in train.pairs]
        kept = common_labels(
            of_known, at_least=settings.pictures_per_label, at_most=settings.labels
        )
        classifier = LabelClassifier.fit(space(known), of_known, kept, seed=0)
        labels = [pair.main_object for pair in asked.pairs]
        return cls(titles, labels, classifier, space, real, space(real))

    def others(self) -> np.ndarray:
        """The real pictures again, for there are no others."""
        return self.real

    def figures(self, pictures: np.ndarray) -> Mapping[str, float]:
        """Whether the pictures are told to show the label of their caption's own picture."""
        made = self.space(pictures[:, 0])

        def told(features: np.ndarray) -> Mapping[str, float]:
            return dict(label_accuracy(self.classifier, features, self.labels, self.titles))

        return {
            **told(made),
            "real.label_accuracy": told(self.features)["label_accuracy"],
            **dict(distribution(self.features, made, seed=0, kid_unit=self.space.kid_unit)),
        }


def find_judging(
    image_size: int, codes: CaptionedCodes, texts: TextEmbeddings, lpips: Path
) -> ByAttributes | ByLabel:
    """What the finished run in this folder is judged by.

    Args:
        lpips: the folder of LPIPS's weights.

    Raises:
        UserError: there are none; in another space the figures would be of another size.
    """
    measure = find_lpips(lpips)
    if measure is None:
        raise UserError(f"{lpips}: no weights of LPIPS to compare pictures in; see --lpips")
    space = backbone_space(measure)
    if load_section(layout.PARAMS, "data.source", str) == "sample":
        return ByAttributes.load(image_size, space)
    return ByLabel.load(image_size, codes, texts, space)
