"""Best of n: how many pictures are all right, by how many are drawn and by who picks one of them.

    python -m benchmarks.ranking [--draws 8] [--seed 1]

In a finished run of the sample, whose judge of pixels has the last word. Each title is drawn anew
`--draws` times; of every 1, 2, 4 … of these one is picked: by the matching score, by the prompt's
likelihood as a caption (as a painter does), by the sum of their logarithms, or by the judge, which
nobody can better. The table goes to the standard output.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.evaluation.attributes import all_right
from pipeline.evaluation.judging import fit_judge
from pipeline.models.blip import Blip
from pipeline.painter import Painter
from pipeline.params import load_section
from pipeline.progress import say
from pipeline.sample.titles import TITLES
from stages import layout

Scores = Mapping[str, np.ndarray]  # by who ranks: (P, n), of P titles' draws


@dataclass(frozen=True)
class Share:
    """A share of picks, and half of its 95 % interval over titles."""

    mean: float
    half: float

    @classmethod
    def of(cls, values: np.ndarray) -> Share:
        """Of each title's own share, (P,)."""
        return cls(float(values.mean()), float(1.96 * values.std(ddof=1) / len(values) ** 0.5))


def picked(right: np.ndarray, scores: np.ndarray, *, of: int) -> np.ndarray:
    """How many of each title's picks are right.

    Args:
        right: (P, n) bool, of each draw.
        scores: (P, n), by which the highest of every `of` draws is picked.

    Returns:
        (P,) shares.
    """
    titles = len(right)
    best = scores.reshape(titles, -1, of).argmax(axis=2, keepdims=True)
    return np.take_along_axis(right.reshape(titles, -1, of), best, axis=2).mean(axis=(1, 2))


def table(right: np.ndarray, scores: Scores) -> Iterator[str]:
    """A row for each number of draws that one is picked of."""
    yield "| drawn | " + " | ".join(scores) + " | caption less matching |"
    yield "| --- |" + " --- |" * (len(scores) + 1)
    of = 1
    while of <= right.shape[1]:
        shares = {who: picked(right, values, of=of) for who, values in scores.items()}
        gain = Share.of(shares["caption"] - shares["matching"])
        found = [Share.of(share) for share in shares.values()]
        cells = [f"{share.mean:.3f} ± {share.half:.3f}" for share in found]
        yield f"| {of} | " + " | ".join(cells) + f" | {gain.mean:+.3f} ± {gain.half:.3f} |"
        of *= 2


def timed(what: str, answer: Callable[[], np.ndarray]) -> np.ndarray:
    """The answer, whose time a picture is said."""
    began = time.process_time()
    found = answer()
    say(f"{what}: {1000 * (time.process_time() - began) / len(found):.1f} ms of CPU a picture")
    return found


def main() -> None:
    """Draw, rank, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=8, help="of each title; a power of two")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(load_section(layout.PARAMS, "threads", int))
    cpu = torch.device("cpu")
    judge, blip = fit_judge(layout.JUDGE, device=cpu), Blip.from_pretrained(layout.BLIP)
    painter = Painter.from_pretrained(layout.PAINTER.parent, device=cpu)
    paintings = painter.paint(list(TITLES), seed=given.seed, candidates=given.draws)
    draws = np.concatenate([painting.draws for painting in paintings])
    titles = [painting.prompt for painting in paintings for _ in painting.draws]

    caption = timed(
        "caption",
        lambda: np.concatenate([painter.blip.likelihoods(p.draws, p.prompt) for p in paintings]),
    )
    matching = timed("matching", lambda: blip.match(draws, titles))
    right = all_right(titles, judge.answers(draws, titles))
    scores = {
        "matching": matching,
        "caption": caption,
        "both": np.log(caption) + np.log(matching),
        "the judge": right,
    }
    shape = len(paintings), given.draws
    print(
        *table(
            right.reshape(shape), {who: values.reshape(shape) for who, values in scores.items()}
        ),
        sep="\n",
    )


if __name__ == "__main__":
    main()
