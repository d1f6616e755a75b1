"""The judge as the evaluation meets it: there or not, fit or not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline.errors import UserError
from pipeline.evaluation.attributes import attribute_accuracy, require_fit
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.judge.model import Judge

# Less than of real pictures: coarse codes do lose a bird or a hue now and then, as the row of
# reconstructions says, which is the prior's ceiling.
FIT_DECODED = 0.95


def fit_judge(folder: Path, *, device: torch.device) -> Judge:
    """The judge that `train_judge` left in `folder`.

    Raises:
        Unmeasurable: there is none for this data, or it is unfit on held-out real pictures.
        UserError: a file is missing or damaged.
    """
    try:
        fitness = json.loads((folder / "fitness.json").read_text(encoding="utf-8"))
        absence, share = fitness["absence"], fitness["all"]
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; run train_judge") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{folder / 'fitness.json'}: damaged; run train_judge again") from None
    if absence:
        raise Unmeasurable(absence)
    require_fit({"held-out real pictures": share})
    return Judge.from_pretrained(folder / "network").to(device)


def answers_if_fit(judge: Judge, reconstructions: np.ndarray, titles: Sequence[str]) -> np.ndarray:
    """The judge's answers about reconstructions, on which it must be fit as well.

    Args:
        reconstructions: uint8 (N, H, W, 3), the VQ-VAE's, of real pictures.
        titles: (N,), of those pictures.

    Returns:
        (N, 6) int64: the row `reconstructed` of the report.

    Raises:
        Unmeasurable: fewer than 0.95 are called right: it would blame the prior for the decoder.
    """
    answers = judge.answers(reconstructions, titles)
    share = dict(attribute_accuracy(titles, answers))["all"]
    require_fit({"reconstructions": share}, least=FIT_DECODED)
    return answers
