"""train_judge: fresh pictures of the sample's painter → a judge of pixels, and how fit it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pipeline.devices import best_device
from pipeline.files import replacing, write_json
from pipeline.judge.settings import JudgeSettings
from pipeline.judge.train import share_right, train_judge
from pipeline.models.storage import round_as_kept
from pipeline.params import load_section
from pipeline.progress import say
from pipeline.sealing import seal_folder
from stages import layout
from stages.resuming import kept_run, trains_ahead

FITNESS = "fitness.json"
ABSENCE = "a judge knows the sample's titles alone, and data.source is {source}"


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "judge", JudgeSettings)
    source = load_section(layout.PARAMS, "data.source", str)
    size = load_section(layout.PARAMS, "data.sample.size", int)
    if source != "sample":
        absence = ABSENCE.format(source=source)
        with replacing(layout.JUDGE) as folder:
            folder.mkdir()
            _finish(folder, absence=absence, pictures=0, share=0.0)
        say(f"no judge: {absence}")
        return
    with kept_run("train_judge") as kept:
        made = kept / "judge"
        if not made.exists():
            with replacing(made) as folder:
                _make(folder, settings, picture_size=size)
        if trains_ahead():
            raise SystemExit  # the outs are its stage's to make
        with replacing(layout.JUDGE) as folder:
            shutil.copytree(made, folder)
    share = json.loads((layout.JUDGE / FITNESS).read_text(encoding="utf-8"))["all"]
    say(f"judge: {share:.4f} of {settings.held_out_pictures} held-out pictures right")


def _make(folder: Path, settings: JudgeSettings, *, picture_size: int) -> None:
    folder.mkdir()
    judge = train_judge(settings, picture_size=picture_size, device=best_device())
    round_as_kept(judge)
    share = share_right(judge, settings, picture_size=picture_size)
    judge.save_pretrained(folder / "network")
    _finish(folder, absence="", pictures=settings.held_out_pictures, share=share)


def _finish(folder: Path, *, absence: str, pictures: int, share: float) -> None:
    """Say in the folder how fit the judge is, or why there is none, and seal it."""
    write_json(folder / FITNESS, {"absence": absence, "pictures": pictures, "all": share})
    seal_folder(folder)
