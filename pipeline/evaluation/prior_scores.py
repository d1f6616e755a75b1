"""How well the prior knows the codes of pictures that it never saw, and what the text tells it."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.codes.captioned import CaptionedCodes
from pipeline.evaluation.baselines import baseline_bits
from pipeline.evaluation.bootstrap import FEWEST, mean_interval
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.maps import Arrays
from pipeline.evaluation.scores import Figures, Scores
from pipeline.evaluation.text_gain import null_branch_lack, text_gain, title_entropy
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.models.vqvae import unpack_levels
from pipeline.priors import Prior
from pipeline.seeds import derive_seed

TRAINING_PICTURES = 256  # to show how much better the prior knows those
MOST_TITLES = 1000  # of a mixture: each test picture is judged under every one of them
BATCH = 128


def picture_nats(
    prior: Prior,
    codes: CaptionedCodes,
    device: torch.device,
    *,
    steps: int | None,
    conditional: bool = True,
) -> np.ndarray:
    """-log p of each picture's codes, (N,) float64.

    Args:
        device: where the prior is.
        steps: in which a prior that draws several codes at once draws them; None: one by one.
        conditional: False: as if there were no text.
    """
    nats = []
    for rows in torch.arange(len(codes)).split(BATCH):
        grids, condition = codes.batch(rows, device)
        nats.append(prior.nats(grids, condition if conditional else None, steps=steps))
    return torch.cat(nats).numpy()


def _bounds(prior: Prior, judged: Judged, *, seed: int) -> np.ndarray | None:
    """What each test picture's codes cost at most, (N,) float64; None: there is no such bound."""

    def bound(rows: slice) -> Tensor | None:
        batch = judged.test_codes.batch(torch.arange(rows.start, rows.stop), judged.device)
        return prior.bound(*batch, seed=derive_seed(seed, rows.start))

    def cost(rows: slice) -> Arrays:
        found = bound(rows)
        assert found is not None  # as of the first picture
        return {"nats": found.numpy()}

    if bound(slice(0, 1)) is None:
        return None
    return judged.maps.rows("bounds", len(judged.test_codes), cost, of_each=BATCH)["nats"]


def prior_scores(
    prior: Prior, judged: Judged, *, steps: int, mixture_pictures: int, seed: int
) -> Scores:
    """Judge the prior's likelihood of test codes beside models that anybody can count.

    Args:
        steps: in which a prior that draws several codes at once draws them.
        mixture_pictures: how many test pictures the text's gain is measured on; 0: it is left out.
        seed: of the bootstrap.
    """
    scores = Scores()
    level_shapes, n_embed = judged.vqvae.level_shapes, judged.vqvae.config.n_embed
    train, test = judged.train_codes, judged.test_codes
    cells = math.prod(test.codes.shape[1:])

    def nats(label: str, codes: CaptionedCodes, **how: Any) -> np.ndarray:
        def cost(rows: slice) -> Arrays:
            some = codes[torch.arange(rows.start, rows.stop)]
            return {"nats": picture_nats(prior, some, judged.device, **how)}

        return judged.maps.rows(label, len(codes), cost, of_each=BATCH)["nats"]

    own = nats("bits", test, steps=steps)
    scores.take("bits", _bits("bits", own, cells, seed=seed), under="")
    most = _bounds(prior, judged, seed=seed)
    if most is not None:
        single = nats("bits one by one", test, steps=None)
        scores.take("bits_one_by_one", _bits("bits_one_by_one", single, cells, seed=seed), under="")
        scores.take("bits_bound", _bits("bits_bound", most, cells, seed=seed), under="")
    some = train[torch.arange(min(TRAINING_PICTURES, len(train)))]
    known = nats("bits of training pictures", some, steps=steps)
    scores.take("train_bits", _bits("train_bits", known, cells, seed=seed), under="")
    scores.take("baselines", _baselines(train, test, level_shapes, n_embed), under="")
    blind = nats("bits without text", test, steps=steps, conditional=False)
    lack = null_branch_lack(own / cells, blind / cells, seed=seed)
    scores.take("null_branch_lack", lack, under="")
    titles = Counter(pair.caption for pair in train.pairs)
    if len(titles) > MOST_TITLES:
        reason = f"{len(titles)} titles are too many for a mixture; text_bound is what they hold"
        scores.leave_out("text_gain", reason)
        bound = title_entropy([pair.caption for pair in train.pairs]) / cells
        scores.take("text_bound", [("text_bound", bound)], under="")
    elif mixture_pictures:
        scores.take(
            "text_gain",
            _text_gain(prior, judged, titles, steps=steps, most=mixture_pictures, seed=seed),
            under="",
        )
    return scores


def _bits(name: str, nats: np.ndarray, cells: int, *, seed: int) -> Figures:
    """Bits per code, with their interval over pictures."""
    bits = nats / cells / math.log(2)
    yield name, float(bits.mean())
    yield f"{name}.n", float(len(bits))
    if len(bits) >= FEWEST:
        low, high = mean_interval(bits, seed=seed)
        yield f"{name}_low", low
        yield f"{name}_high", high


def _baselines(
    train: CaptionedCodes, test: CaptionedCodes, shapes: list[tuple[int, int]], n_embed: int
) -> Figures:
    """Bits per code by counts, over all levels; each level has a codebook of its own."""
    levels = [unpack_levels(part.codes[:], shapes) for part in (train, test)]
    found = [
        dict(baseline_bits(known.numpy(), unknown.numpy(), n_embed))
        for known, unknown in zip(*levels, strict=True)
    ]
    weights = [math.prod(shape) for shape in shapes]
    for name in found[0]:
        yield name, float(np.average([level[name] for level in found], weights=weights))


def _text_gain(
    prior: Prior, judged: Judged, titles: Counter[str], *, steps: int, most: int, seed: int
) -> Figures:
    """Bits per code that the own title saves, against the mixture over all training titles."""
    train, test, device = judged.train_codes, judged.test_codes, judged.device
    chosen: dict[str, int] = {}  # a title that training knows → one test picture of it
    for row, pair in enumerate(test.pairs):
        if titles[pair.caption] and len(chosen) < most:
            chosen.setdefault(pair.caption, row)
    if not chosen:
        raise Unmeasurable("no test picture has a title of training")
    row_of = dict(zip((p.caption for p in train.pairs), train.condition_rows.tolist(), strict=True))
    every = train.condition[torch.tensor([row_of[title] for title in titles])]

    def beside_every_title(row: int) -> Arrays:
        grid = test.codes[row : row + 1][0].long().to(device)
        costs = [
            prior.nats(grid.expand(len(part), *grid.shape), every[part].to(device), steps=steps)
            for part in torch.arange(len(titles)).split(BATCH)
        ]
        return {"nats": torch.cat(costs).numpy()}

    jobs = {f"{row:09d}": partial(beside_every_title, row) for row in chosen.values()}
    nats = np.stack([f["nats"] for f in judged.maps.arrays("titles", jobs).values()])
    names = list(titles)
    own = np.array([names.index(title) for title in chosen])
    weights = np.array([titles[name] for name in names], dtype=np.float64)
    yield from text_gain(nats, own, weights, cells=math.prod(test.codes.shape[1:]), seed=seed)
    yield "text_gain.n", float(len(chosen))
