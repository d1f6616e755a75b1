"""In a space that no model here has met: do generated pictures look like real ones, all of them?

Rows are compared with real pictures of the same prompts: other `real` ones (the floor of every
distance), `reconstructed` (by least error), `redrawn` (by the flow decoder), `generated`; and
`prior`: generated against what the same decoder paints from the codes of real pictures, which
leaves out what it loses and shows the prior's own share.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.data.views import to_float
from pipeline.evaluation.distribution import distribution
from pipeline.evaluation.features import FeatureSpace, backbone_space
from pipeline.evaluation.gallery import Draws, References
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.maps import Arrays, Maps
from pipeline.evaluation.perceptual import lpips_distances
from pipeline.evaluation.scores import Figures, Scores
from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.judge.model import Judge

LPIPS_BATCH = 32
LPIPS_SHARE = 128  # pairs


def find_space(lpips: nn.Module | None, judge: Judge | None) -> FeatureSpace | None:
    """SqueezeNet's space (or another backbone's) where LPIPS is on, else the judge's, else none."""
    if lpips is not None:
        return backbone_space(lpips)
    if judge is not None:
        return FeatureSpace("the judge's last layer", judge.embed, 1e-3)
    return None


def neutral_scores(
    space: FeatureSpace | None,
    lpips: nn.Module | None,
    judged: Judged,
    *,
    seed: int,
) -> Scores:
    """Compare sets of one picture for each prompt; the generated ones are not selected.

    Args:
        space: where pictures are compared; None: nowhere.
        lpips: the measure; None: no LPIPS.
        seed: of the draws of jackknife groups, and of other prompts.
    """
    scores = Scores()
    draws, references, maps = judged.draws, judged.references, judged.maps
    if space is None:
        reason = "it needs a trained backbone (pretrained.lpips) or the sample's judge"
        scores.leave_out("kid, fd, precision, recall, coverage", reason)
    else:
        _distributions(space, draws, references, maps, scores, seed=seed)
    if lpips is None:
        scores.leave_out("lpips", "it needs a trained backbone, and pretrained.lpips is off")
    else:
        scores.take("lpips", _lpips(lpips, draws, references, maps, seed=seed))
    return scores


def _distributions(
    space: FeatureSpace,
    draws: Draws,
    references: References,
    maps: Maps,
    scores: Scores,
    *,
    seed: int,
) -> None:
    real, generated = space(references.real), space(draws.unranked)
    rows = {
        "real": (real, space(references.other)),
        "reconstructed": (real, space(references.other_decoded)),
        "generated": (real, generated),
        "prior": (space(references.real_repainted), generated),
    }
    if references.other_redrawn is not None:
        rows["redrawn"] = (real, space(references.other_redrawn))
    jobs = {
        row: partial(_compared, reference, made, seed=seed, kid_unit=space.kid_unit)
        for row, (reference, made) in rows.items()
    }
    try:
        found = maps.lists("distributions", jobs)
    except Unmeasurable as reason:
        found = {}
        for row in rows:
            scores.leave_out(row, str(reason))
    for row, figures in found.items():
        scores.take(row, [(name, value) for name, value in figures])
    scores.take("same_prompt", [("same_prompt", references.same_prompt)], under="")


def _compared(reference: np.ndarray, made: np.ndarray, **how: Any) -> list[Any]:
    return list(distribution(reference, made, **how))


def _lpips(
    measure: nn.Module, draws: Draws, references: References, maps: Maps, *, seed: int
) -> Figures:
    """Mean LPIPS to the prompt's real picture; the ceiling is *another* real picture of it."""
    real, other, decoded, generated = (
        to_float(torch.from_numpy(images))
        for images in (references.real, references.other, references.real_decoded, draws.unranked)
    )
    elsewhere = torch.from_numpy(shuffled_rows(references.prompts, seed=seed))
    pairs = {
        "generated": (generated, real),
        "real": (other, real),
        "reconstructed": (decoded, real),
        "shuffled": (generated, real[elsewhere]),
    }
    if references.real_redrawn is not None:
        pairs["redrawn"] = (to_float(torch.from_numpy(references.real_redrawn)), real)
    for row, (first, second) in pairs.items():

        def apart(rows: slice, first: Tensor = first, second: Tensor = second) -> Arrays:
            some = first[rows], second[rows]
            return {"lpips": lpips_distances(measure, *some, batch_size=LPIPS_BATCH)}

        found = maps.rows(f"LPIPS ({row})", len(first), apart, of_each=LPIPS_SHARE)
        yield row, float(found["lpips"].mean())
