"""From pixels, or features that no model here has met: labels, sharpness, copies of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.evaluation.copies import AT_A_TIME, Middles, Nearest, copies, lay
from pipeline.evaluation.features import FeatureSpace
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.labels import (
    LabelClassifier,
    common_labels,
    label_accuracy,
    require_labels,
)
from pipeline.evaluation.maps import Arrays
from pipeline.evaluation.pixels import PIXEL_SPACE
from pipeline.evaluation.scores import Figures, Scores, of_group, prefixed
from pipeline.evaluation.sharpness import sharpness
from pipeline.evaluation.unmeasurable import Unmeasurable

MOST_ASKED = 200  # pictures whose nearest training picture is looked for, at 20 ms each
FEATURES = 1024  # pictures of a share: a multiple of what each space takes at a time


def pixel_scores(
    space: FeatureSpace | None,
    judged: Judged,
    *,
    labels: int,
    pictures_per_label: int,
    seed: int,
) -> tuple[Scores, Nearest | None]:
    """Tell labels from pictures, and look for copies of training pictures.

    Args:
        space: whose features the classifier of labels reads; None: plain pixels'.
        labels: the commonest ones, which pictures are asked for.
        pictures_per_label: of training, for a label to be learned.
        seed: of scikit-learn's draws and of the bootstrap.

    Returns:
        The figures, and the nearest training picture of each of the first generated ones; None
        where the pictures are too small for that.
    """
    scores = Scores()
    draws, references = judged.draws, judged.references
    objects = [pair.main_object for pair in judged.train_codes.pairs]
    kept = common_labels(objects, at_least=pictures_per_label, at_most=labels)
    groups = {
        "generated": draws.unranked,
        "best_of_n": draws.best,
        "reconstructed": references.real_decoded,
        "real": references.real,
    }
    if references.real_redrawn is not None:
        groups["redrawn"] = references.real_redrawn
    told = _labels(space or PIXEL_SPACE, judged, objects, kept, groups, seed=seed)
    scores.take("label_accuracy", told, under="")
    for group, images in groups.items():
        beside = references.other if group == "real" else references.real
        scores.take("sharpness", of_group(group, sharpness(images, beside)), under="")
    try:
        nearest, held_out = _nearest(
            judged, [draws.unranked[:MOST_ASKED], references.real_repainted[:MOST_ASKED]]
        )
    except Unmeasurable as reason:
        scores.leave_out("copies", str(reason))
        return scores, None
    scores.take("copies", copies(nearest.distances, held_out.distances, seed=seed))
    return scores, nearest


def _labels(
    space: FeatureSpace,
    judged: Judged,
    objects: Sequence[str],
    kept: Sequence[str],
    groups: Mapping[str, np.ndarray],
    *,
    seed: int,
) -> Figures:
    """How often each group's pictures are told to show what their prompts ask for."""
    require_labels(kept)  # before features are taken of thousands of pictures
    training = judged.train.images
    known = judged.maps.rows(
        "features of training pictures",
        len(training),
        lambda rows: {"features": space(training[rows].numpy())},
        of_each=FEATURES,
    )
    classifier = LabelClassifier.fit(known["features"], objects, kept, seed=seed)
    asked = judged.references.labels
    for group, images in groups.items():
        figures = label_accuracy(classifier, space(images), asked, judged.prompts)
        yield from prefixed(group, figures)


def _nearest(judged: Judged, groups: Sequence[np.ndarray]) -> list[Nearest]:
    """The training pictures nearest to those of several groups, as many in each."""
    every, training = [Middles.of(images) for images in groups], judged.train.images

    def lay_on(rows: slice) -> Arrays:
        gaps, found = lay(every, training[rows].numpy())
        return {"gaps": gaps[None], "rows": found[None] + rows.start}

    laid = judged.maps.rows("nearest training pictures", len(training), lay_on, of_each=AT_A_TIME)
    return [
        middles.nearest(laid["gaps"][:, group], laid["rows"][:, group])
        for group, middles in enumerate(every)
    ]
