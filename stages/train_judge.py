"""train_judge: fresh pictures of the sample's painter → a judge of pixels, and how fit it is."""

from __future__ import annotations

from pipeline.devices import best_device
from pipeline.files import replacing, write_json
from pipeline.judge.settings import JudgeSettings
from pipeline.judge.train import share_right, train_judge
from pipeline.models.storage import round_as_kept
from pipeline.params import load_section
from pipeline.progress import say
from pipeline.sealing import seal_folder
from stages import layout

ABSENCE = "a judge knows the sample's titles alone, and data.source is {source}"


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "judge", JudgeSettings)
    source = load_section(layout.PARAMS, "data.source", str)
    size = load_section(layout.PARAMS, "data.sample.size", int)
    with replacing(layout.JUDGE) as folder:
        folder.mkdir()
        fitness = {"absence": "", "pictures": settings.held_out_pictures, "all": 0.0}
        if source != "sample":
            fitness |= {"absence": ABSENCE.format(source=source), "pictures": 0}
            say(f"no judge: {fitness['absence']}")
        else:
            judge = train_judge(settings, picture_size=size, device=best_device())
            round_as_kept(judge)
            share = share_right(judge, settings, picture_size=size)
            say(f"judge: {share:.4f} of {settings.held_out_pictures} held-out pictures right")
            judge.save_pretrained(folder / "network")
            fitness["all"] = share
        write_json(folder / "fitness.json", fitness)
        seal_folder(folder)
