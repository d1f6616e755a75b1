"""From which probability on BLIP calls a picture and a text matched; kept in its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

THRESHOLDS = "matching.json"


@dataclass(frozen=True)
class MatchThresholds:
    """Training chooses them on validation; a published checkpoint has none of its own.

    Attributes:
        captions, passages: of a picture's captions, and of the longer texts beside it.
    """

    captions: float
    passages: float


PUBLISHED = MatchThresholds(captions=0.5, passages=0.5)


def load_thresholds(folder: Path) -> MatchThresholds:
    """The thresholds of a BLIP's folder; the published ones where it has none of its own.

    Raises:
        UserError: the file says nothing of them.
    """
    path = folder / THRESHOLDS
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return MatchThresholds(float(values["captions"]), float(values["passages"]))
    except FileNotFoundError:
        return PUBLISHED
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: expected JSON with captions and passages") from None
