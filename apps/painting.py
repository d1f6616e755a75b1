"""`codebrush paint`: pictures with their facts inside, each on the disk as soon as it is there."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.environment import compute_as_judged
from pipeline.data.texts import normalise
from pipeline.errors import UserError
from pipeline.painter_folder import PainterFolder
from pipeline.sampling_settings import PaintSettings

if TYPE_CHECKING:
    from pipeline.painter import Painter, Painting

SHEET = "contact-sheet.png"
SHEET_COLUMNS, SHEET_SCALE = 8, 2


def read_prompts(file: str) -> list[str]:
    """The prompts of a UTF-8 file, one a line, blank ones left out; "-": of standard input.

    Raises:
        UserError: there is no such file, or it is no text.
    """
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        lines = content.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{file}: not UTF-8 text") from None
    found = [line for line in lines if line.strip()]
    if not found:
        raise UserError(f"{file}: no prompt in it")
    return found


def judged_settings(found: PainterFolder, changes: Mapping[str, Any]) -> PaintSettings:
    """What the models were judged with, but for the changes that are not None.

    Raises:
        UserError: a change that cannot be.
    """
    wanted = {name: value for name, value in changes.items() if value is not None}
    try:
        return PaintSettings.of(**{**found.settings.model_dump(), **wanted})
    except ValueError as error:
        raise UserError(str(error).removeprefix("PaintSettings: ")) from None


def paint_files(
    prompts: Sequence[str],
    *,
    models: str,
    out: Path,
    samples: int,
    seed: int,
    changes: Mapping[str, Any],
) -> None:
    """Paint prompts into `out`, a PNG each, and all on one contact sheet if there are several.

    Raises:
        UserError: a prompt or a setting cannot be painted with, or the models are not there.
    """
    if not prompts:
        raise UserError("nothing to paint: expected prompts, or --file FILE")
    painter, settings, facts = load_painter(models, changes)
    painter.blip.check_prompts(prompts)
    paintings = _one_by_one(painter, prompts, settings, samples=samples, seed=seed)
    write_paintings(paintings, out, seed=seed, facts=facts)


def load_painter(
    models: str, changes: Mapping[str, Any]
) -> tuple[Painter, PaintSettings, dict[str, str]]:
    """The painter of a folder or of the Hub, its settings but for `changes`, and the facts of both.

    Raises:
        UserError: the models are not there, or a change cannot be.
    """
    found = PainterFolder.find(models)
    settings = judged_settings(found, changes)
    compute_as_judged(found.threads, found.instruction_set)

    from pipeline.painter import Painter

    return Painter.load(found), settings, facts_of(found, settings)


def facts_of(found: PainterFolder, settings: PaintSettings) -> dict[str, str]:
    """What every picture's metadata say of the models and how they painted."""
    return {"models": found.fingerprint, "settings": json.dumps(settings.model_dump())}


def write_paintings(
    paintings: Iterable[Painting], out: Path, *, seed: int, facts: Mapping[str, str]
) -> None:
    """Write each painting as soon as it is there, and all on one contact sheet if several are."""
    shown: list[Painting] = []
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: a file; expected a folder")
    for painting in paintings:
        out.mkdir(parents=True, exist_ok=True)  # not for what cannot be painted
        path = save(painting, out, seed=seed, facts=facts)
        print(f"{path}  likelihood {painting.likelihood:.2f}", flush=True)
        shown.append(painting)
    if len(shown) > 1:
        write_sheet(out / SHEET, shown)
        print(out / SHEET)


def _one_by_one(
    painter: Painter, prompts: Sequence[str], settings: PaintSettings, *, samples: int, seed: int
) -> Iterable[Painting]:
    """Paint as many prompts at a time as fill a batch, so that the first need not wait for all."""
    prompts = list(dict.fromkeys(map(normalise, prompts)))
    step = max(1, settings.batch_size // (samples * settings.candidates))
    for first in range(0, len(prompts), step):
        part = prompts[first : first + step]
        yield from painter.paint(part, settings, samples=samples, seed=seed)


def own_facts(painting: Painting, *, seed: int) -> dict[str, str]:
    """What a picture's metadata say of itself; with `facts_of` it can be painted again."""
    return {
        "prompt": painting.prompt,
        "seed": str(seed),
        "sample": str(painting.sample),
        "candidate": str(painting.chosen),
        "likelihood": f"{painting.likelihood:.4f}",
    }


def save(painting: Painting, out: Path, *, seed: int, facts: Mapping[str, str]) -> Path:
    """Write a painting's PNG, from whose facts it can be painted again; returns its path.

    A picture that is there already stays: one of other settings or models gets a number.
    """
    from pipeline.painting_files import file_name, save_png

    stem = file_name(painting.prompt, painting.sample).removesuffix(".png")
    picture = io.BytesIO()
    save_png(picture, painting.image, {**own_facts(painting, seed=seed), **facts})
    path = out / f"{stem}-seed-{seed}.png"
    for number in count(2):
        if not path.exists() or path.read_bytes() == picture.getvalue():
            break
        path = path.with_name(f"{stem}-seed-{seed}-{number}.png")
    path.write_bytes(picture.getvalue())
    return path


def write_sheet(path: Path, paintings: Sequence[Painting]) -> None:
    """All pictures on one, each over its prompt."""
    import numpy as np

    from pipeline.evaluation.plots import image_grid

    images = np.stack([painting.image for painting in paintings])
    captions = [painting.prompt for painting in paintings]
    image_grid(images, captions, columns=SHEET_COLUMNS, scale=SHEET_SCALE).save(path)
