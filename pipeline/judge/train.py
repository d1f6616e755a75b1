"""How the judge learns: fresh pictures, spoilt ones among them, and the truth about each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from pipeline.judge.augmentation import padded, views
from pipeline.judge.model import Judge
from pipeline.judge.pictures import HELD_OUT, TRAINING, fresh_pictures
from pipeline.judge.settings import JudgeSettings, JudgeSizes
from pipeline.progress import progress
from pipeline.sample.attributes import ATTRIBUTES, encode
from pipeline.sample.scene import KINDS
from pipeline.sample.titles import TITLES, parse

# All else is told within the first hundred steps; nearly all that are left go into counting.
COUNT_WEIGHT = 4.0
TURNS = {"bird": 5, "fruit": 2, "fish": 2, "candle": 2}  # of the kinds that have a number
WARM_UP = 0.1  # share of the steps


def train_judge(settings: JudgeSettings, *, picture_size: int, device: torch.device) -> Judge:
    """Paint pictures and learn to tell what they show.

    Nothing is kept of a run that was killed: all of it takes less than a minute, and gives the
    same bytes when it starts again.

    Args:
        picture_size: at which the data set's pictures are painted, in pixels.
    """
    titles = training_titles(settings.pictures)
    pictures = padded(_painted(titles, TRAINING, settings, picture_size), settings.max_shift)
    pictures = pictures.to(device)
    truth = torch.from_numpy(encode([parse(title) for title in titles])).to(device)
    torch.manual_seed(settings.seed)
    judge = Judge(**settings.values_of(JudgeSizes)).to(device)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=settings.lr, weight_decay=0.02, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        settings.lr,
        total_steps=settings.steps,
        pct_start=WARM_UP,
        cycle_momentum=False,
    )
    judge.train()
    for _ in progress(range(settings.steps), total=settings.steps, label="judge"):
        rows = torch.randint(len(pictures), (settings.batch_size,)).to(device)
        logits = judge(views(pictures, rows, max_shift=settings.max_shift), truth[rows, 0])
        losses = [F.cross_entropy(head, truth[rows, k]) for k, head in enumerate(logits)]
        losses[ATTRIBUTES.index("count")] *= COUNT_WEIGHT
        optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        optimizer.step()
        schedule.step()
    return judge.eval()


def training_titles(count: int) -> list[str]:
    """The titles to learn from: each kind's take turns, and kinds with a number come more often."""
    turns = [kind for kind in KINDS for _ in range(TURNS.get(kind, 1))]
    lines = {
        kind: itertools.cycle([line for line in TITLES if parse(line).kind == kind])
        for kind in KINDS
    }
    return [next(lines[kind]) for kind in itertools.islice(itertools.cycle(turns), count)]


def share_right(judge: Judge, settings: JudgeSettings, *, picture_size: int) -> float:
    """The share of real pictures, not learnt from, of which the judge says what their titles do."""
    titles = [TITLES[index % len(TITLES)] for index in range(settings.held_out_pictures)]
    pictures = _painted(titles, HELD_OUT, settings, picture_size).numpy()
    truth = encode([parse(title) for title in titles])
    return float((judge.answers(pictures, titles) == truth).all(axis=1).mean())


def _painted(
    titles: Sequence[str], purpose: int, settings: JudgeSettings, picture_size: int
) -> torch.Tensor:
    pictures = fresh_pictures(
        titles,
        purpose=purpose,
        size=picture_size,
        image_size=settings.image_size,
        seed=settings.seed,
    )
    return torch.from_numpy(pictures)
