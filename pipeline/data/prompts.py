"""The prompts that a run is judged by: what its test pictures show, in an order of no meaning."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pipeline.errors import UserError
from pipeline.sealing import read_rows, write_rows


def write_prompts(path: Path, prompts: Collection[str]) -> None:
    """Write prompts as JSON Lines."""
    write_rows(path, ({"prompt": prompt} for prompt in prompts), count=len(prompts))


def read_prompts(path: Path) -> list[str]:
    """Read what `write_prompts` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        return [str(row["prompt"]) for _, row in read_rows(path)]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; the download stage makes it") from None
    except KeyError:
        raise UserError(f"{path}: a row has no prompt; the download stage makes it again") from None
