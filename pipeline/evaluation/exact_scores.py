"""Exact, on the sample: how much of what a title says can be seen, by a judge of pixels alone.

Nothing here has met BLIP, which reads the prompt, conditions the prior and chooses the candidate,
and so cannot also say how good the result is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.evaluation.attributes import (
    attribute_accuracy,
    attribute_chance,
    attribute_gain,
    attribute_intervals,
    attribute_sizes,
    count_confusion,
)
from pipeline.evaluation.gallery import Draws, References
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.judging import answers_if_fit, fit_judge
from pipeline.evaluation.scores import Figures, Scores
from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.judge.model import Judge


def exact_scores(folder: Path, judged: Judged, *, seed: int) -> tuple[Judge | None, Scores]:
    """Judge generated pictures by everything that their titles say.

    Figures are `GROUP.NAME` with their intervals; a group is `unranked` (every draw), `best_of_n`
    (the draw that BLIP picked), `real`, `reconstructed` (by least error), `redrawn` (from the same
    codes, by the flow decoder), `shuffled` (every draw beside another title), `chance`; `reranking`
    is what best of n gains over its own unranked draws; `count_asked_I.seen_J` is how many unranked
    draws show J things where I were asked for.

    Args:
        folder: where `train_judge` left the judge.
        seed: of the bootstrap, and of the draw of other titles.

    Returns:
        The judge, None where there is none for this data or it is unfit; and the figures.
    """
    scores = Scores()
    try:
        judge = fit_judge(folder, device=judged.device)
        _judge(judge, judged.draws, judged.references, scores, seed=seed)
    except Unmeasurable as reason:
        scores.leave_out("exact", str(reason))
        return None, scores
    return judge, scores


def _judge(
    judge: Judge, draws: Draws, references: References, scores: Scores, *, seed: int
) -> None:
    titles = list(references.prompts)
    reconstructed = answers_if_fit(judge, references.other_decoded, titles)
    answers = judge.answers(draws.images, draws.prompts)
    chosen = answers[draws.chosen]
    shuffled = shuffled_rows(draws.prompts, seed=seed)
    others = [draws.prompts[row] for row in shuffled]
    groups = {
        "unranked": (draws.prompts, answers),
        "best_of_n": (titles, chosen),
        "real": (titles, judge.answers(references.other, titles)),
        "reconstructed": (titles, reconstructed),
        "shuffled": (others, judge.answers(draws.images, others)),
    }
    for group, (asked, seen) in groups.items():
        scores.take(f"exact.{group}", _of_group(asked, seen, seed=seed), under=group)
    if references.other_redrawn is not None:
        scores.take(
            "exact.redrawn",
            _of_group(titles, judge.answers(references.other_redrawn, titles), seed=seed),
            under="redrawn",
        )
    scores.take("exact.chance", attribute_chance(draws.prompts), under="chance")
    if len(titles) < len(draws):
        candidates = len(draws) // len(titles)
        asked = [title for title in titles for _ in range(candidates)]
        repeated = np.repeat(chosen, candidates, axis=0)
        gain = attribute_gain(asked, repeated, answers, seed=seed)
        scores.take("exact.reranking", gain, under="reranking")
    scores.take("exact.count", _confusion(draws.prompts, answers), under="")


def _of_group(titles: list[str], answers: np.ndarray, *, seed: int) -> Figures:
    yield from attribute_accuracy(titles, answers)
    yield from attribute_intervals(titles, answers, seed=seed)
    sizes = dict(attribute_sizes(titles))
    yield "n", sizes["pictures"]
    yield "prompts", sizes["prompts"]


def _confusion(titles: list[str], answers: np.ndarray) -> Figures:
    for asked, row in enumerate(count_confusion(titles, answers).tolist(), start=1):
        for seen, pictures in enumerate(row, start=1):
            yield f"count_asked_{asked}.seen_{seen}", float(pictures)
