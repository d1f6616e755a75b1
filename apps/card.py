"""A model card: what the models are, what they were judged to do, from what data, with what limits.

The figures are the run's own, as its report has them; where there is no report, the card says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apps.families import UNREAD
from apps.review.freshness import stale_stages
from pipeline.download.pretrained import OFF
from pipeline.errors import UserError
from pipeline.models.storage import model_name
from pipeline.painter_folder import PainterFolder
from pipeline.params import read_yaml
from stages import layout

SAMPLE = "sample"
SOURCES = {
    SAMPLE: "Small pictures painted by Codebrush's own program, with titles that it wrote: free of "
    "anybody's rights, and of everything that is not in its ten kinds of subject.",
    "musti": "Pictures and texts of MUSTI (MediaEval), which are not part of this folder.",
}
OTHER = "A table of pictures and texts of whoever trained this; they are not part of this folder."


def model_card(run: Path, found: PainterFolder, *, size: int) -> str:
    """Write the card of the models of the run in the folder `run`.

    Args:
        size: of the exported files, in bytes.

    Raises:
        UserError: the run's figures are not those of its models.
    """
    return "\n".join(_card(run, found, size)) + "\n"


def _card(run: Path, found: PainterFolder, size: int) -> Iterator[str]:
    params = run / layout.PARAMS
    known: dict[str, Any] = read_yaml(params) if params.is_file() else {}
    source = known.get("data", {}).get("source")
    checkpoint = known.get("pretrained", {}).get("blip") not in (None, False, OFF)
    ours = source == SAMPLE and not checkpoint
    prior = model_name(found.parts["prior"])
    yield "---"
    yield f"license: {'mit' if ours else 'other'}"
    yield "pipeline_tag: text-to-image"
    yield "library_name: codebrush"
    yield f"tags: [text-to-image, vq-vae, {prior.lower()}, blip]"
    yield "---"
    yield "# A small painter"
    yield ""
    yield f"Paints {_side(found)} from a line of text: {size / 1e6:.1f} MB, on a CPU, in seconds."
    yield ""
    yield "```python"
    yield "from pipeline.painter import Painter"
    yield ""
    yield 'Painter.from_pretrained("this/folder").paint("Blue ship in a storm at night")'
    yield "```"
    yield ""
    yield f"With {found.threads} threads and the instruction set `{found.instruction_set}`, which"
    yield "`codebrush paint` sees to, the same versions of the libraries paint the same bytes."
    yield ""
    yield "## What it was judged to do"
    yield ""
    yield from _figures(run)
    yield ""
    yield "## Settings it was judged with"
    yield ""
    yield "| setting | value |"
    yield "| --- | --- |"
    settings = found.settings.model_dump(exclude=UNREAD[prior])
    yield from (f"| {name} | {value} |" for name, value in settings.items())
    yield ""
    yield "Of so many candidates the one is kept of which the prompt is the likeliest caption,"
    yield "by the captioner in `blip`."
    yield ""
    yield "## Data"
    yield ""
    yield SOURCES.get(str(source), OTHER)
    yield _data_sizes(run)
    yield ""
    yield "## Limits"
    yield ""
    yield "It knows the words and subjects of its training texts and nothing else; words that it"
    yield "never met are guessed from their letters. Its pictures are small. It was judged on texts"
    yield "like those of its training, by the figures above; nothing is known of other uses."
    yield ""
    yield "## Licence"
    yield ""
    if ours:
        yield "MIT, like the code; no data of others went into it."
    else:
        yield "The code is MIT. Whether the models may be shared follows from the rights in the"
        yield "pictures and texts that they learned from: fill in `license` above before you share."
    if checkpoint:
        yield "BLIP began as a published checkpoint (`pretrained.blip`): its licence counts, too."
    yield from _made_with(run)


def _side(found: PainterFolder) -> str:
    config = json.loads((found.parts["vqvae"] / "config.json").read_text(encoding="utf-8"))
    side = config["config"]["image_size"]
    return f"pictures of {side}×{side} pixels"


def _figures(run: Path) -> Iterator[str]:
    """The sentence and the table that the run's report opens with."""
    report = run / layout.METRICS / "report.md"
    if not report.is_file():
        yield "There is no report beside these models."
        return
    if (run / "dvc.lock").is_file() and (stale := stale_stages(run)):
        raise UserError(
            f"{report}: {stale[0].stage} is stale, so its figures may not be of these models; "
            "run `dvc repro`"
        )
    head = report.read_text(encoding="utf-8").partition("\n## ")[0].splitlines()
    while head and (not head[0] or head[0].startswith("# ")):
        head.pop(0)
    yield from (
        line.replace("[docs/spread.md](../docs/spread.md)", "docs/spread.md") for line in head
    )


def _data_sizes(run: Path) -> str:
    report = run / layout.METRICS / "data.json"
    if not report.is_file():
        return ""
    counts = json.loads(report.read_text(encoding="utf-8"))
    pictures = ", ".join(f"{count} {split}" for split, count in counts["pictures"].items())
    return f"Pictures: {pictures}; from {counts['rows']} rows of annotations."


def _made_with(run: Path) -> Iterator[str]:
    provenance = run / layout.METRICS / "provenance.json"
    if not provenance.is_file():
        return
    facts = json.loads(provenance.read_text(encoding="utf-8"))
    machine = facts["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    yield ""
    yield "## Made with"
    yield ""
    yield f"Python {facts['python']} on {machine['processor']} ({machine['instructions']});"
    yield f"{versions}."
