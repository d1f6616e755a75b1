"""Real pictures of the same prompts: fresh ones of the sample, else test and training pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.data.mapped_images import Images
from pipeline.data.pairs import Pair
from pipeline.evaluation.companions import NONE, companions
from pipeline.evaluation.gallery import References
from pipeline.judge.pictures import REFERENCES, fresh_pictures
from pipeline.sample.titles import parse

# Pictures beside texts → what is painted from their codes: by least error, and drawn, if at all.
Reconstruct = Callable[[np.ndarray, Sequence[str]], tuple[np.ndarray, np.ndarray | None]]


def fresh_references(
    titles: Sequence[str], reconstruct: Reconstruct, *, size: int, image_size: int, seed: int
) -> References:
    """Paint two pictures of each title of the sample that no run has trained on.

    Args:
        titles: (P,) distinct.
        size: at which the sample's pictures are painted, in pixels.
        image_size: to which they are resized, as the pipeline does.
    """
    real, other = np.split(
        fresh_pictures(
            [*titles, *titles], purpose=REFERENCES, size=size, image_size=image_size, seed=seed
        ),
        2,
    )
    return References(
        prompts=titles,
        labels=[parse(title).kind for title in titles],
        real=real,
        other=other,
        same_prompt=1.0,
        **_reconstructions(reconstruct, real, other, titles, titles),
    )


def matched_references(
    prompts: Sequence[str],
    reconstruct: Reconstruct,
    *,
    test: Sequence[Pair],
    test_images: Images,
    train: Sequence[Pair],
    train_images: Images,
    seed: int,
) -> References:
    """Find for each prompt its test picture, and a training picture of the same caption or label.

    Where no training picture has the caption, one of the same main object is drawn; where none has
    that either, any.

    Args:
        prompts: (P,) distinct captions of `test`.
        test, test_images: the test pairs, and their pictures (N, H, W, 3) uint8.
        train, train_images: the same of training.
        seed: of the draws.
    """
    first_of = {pair.caption: row for row, pair in reversed(list(enumerate(test)))}
    rows = [first_of[prompt] for prompt in prompts]
    labels = [test[row].main_object for row in rows]
    same = companions(prompts, [pair.caption for pair in train], count=1, seed=seed)[:, 0]
    alike = companions(labels, [pair.main_object for pair in train], count=1, seed=seed)[:, 0]
    any_of = np.random.default_rng(seed).integers(len(train), size=len(prompts))
    found = np.where(same != NONE, same, np.where(alike != NONE, alike, any_of))
    real = test_images[torch.tensor(rows)].numpy()
    other = train_images[torch.from_numpy(found)].numpy()
    return References(
        prompts=prompts,
        labels=labels,
        real=real,
        other=other,
        same_prompt=float((same != NONE).mean()),
        **_reconstructions(
            reconstruct, real, other, prompts, [train[row].caption for row in found.tolist()]
        ),
    )


def first_of_captions(pairs: Sequence[Pair], captions: Sequence[str]) -> Tensor:
    """The first pair of each of these captions, int64 rows (len(captions),)."""
    asked, first = set(captions), dict[str, int]()
    for row, pair in enumerate(pairs):
        if pair.caption in asked:
            first.setdefault(pair.caption, row)
    return torch.tensor([first[caption] for caption in captions], dtype=torch.int64)


def _reconstructions(
    reconstruct: Reconstruct,
    real: np.ndarray,
    other: np.ndarray,
    real_texts: Sequence[str],
    other_texts: Sequence[str],
) -> dict[str, Any]:
    """The fields of `References` that are painted from codes."""
    # All at once: what is drawn depends on a picture's row, and no two should share their noise.
    decoded, drawn = reconstruct(np.concatenate([real, other]), [*real_texts, *other_texts])
    fields = dict(zip(("real_decoded", "other_decoded"), np.split(decoded, 2), strict=True))
    if drawn is not None:
        fields |= zip(("real_redrawn", "other_redrawn"), np.split(drawn, 2), strict=True)
    return fields
