"""download: annotation files and their pictures → images, a table of pairs, a report, resources.

The process that keeps the run does it; any other can help it to decode.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.data.pairs import write_pairs
from pipeline.data.picture_shards import write_shards
from pipeline.data.prompts import write_prompts
from pipeline.download.intake import Intake, take_in
from pipeline.download.looks import forget_list, forget_looks, shares_of_looks
from pipeline.download.pretrained import Pretrained, bring_pretrained
from pipeline.download.rows import open_rows
from pipeline.download.settings import Data
from pipeline.download.sources import judged_prompts, open_source
from pipeline.download.store import DownloadStore
from pipeline.download.tally import (
    check_enough,
    data_metrics,
    flat,
    headlines,
    summary,
    write_report,
)
from pipeline.errors import UserError
from pipeline.files import replacing, write_json, write_tsv
from pipeline.params import SEED, load_section
from pipeline.progress import say
from pipeline.shares import SECONDS_BETWEEN_LOOKS
from stages import layout
from stages.runs import held, run_folder
from stages.scratch import scratch_root
from stages.sharing import do_together


def main() -> None:
    """Run the stage."""
    seed = load_section(layout.PARAMS, "seed", SEED)
    settings = load_section(layout.PARAMS, "data", Data)
    pretrained = load_section(layout.PARAMS, "pretrained", Pretrained)
    folder = run_folder("download")
    with ExitStack() as opened:
        do_together(
            "download",
            folder,
            _Taking(folder, settings, seed=seed, opened=opened),
            put_together=lambda taken: write(taken, settings, pretrained, folder=folder),
        )


class Taken(NamedTuple):
    """What was taken in, and where what was fetched lies."""

    intake: Intake
    store: DownloadStore


@dataclass(frozen=True)
class _Taking:
    """The work of a run.

    Attributes:
        folder: the run's.
        opened: what stays open until the outs are written.
    """

    folder: Path
    settings: Data
    seed: int
    opened: ExitStack

    def help(self, *, is_over: Callable[[], bool]) -> None:
        """Decode what is free, as soon as the files are listed."""
        said = False
        while True:
            shares = shares_of_looks(self.folder, max_pixels=self.settings.max_pixels)
            if shares is not None:
                shares.help(is_over=is_over)
                return
            with held(self.folder) as nobody_keeps:
                if nobody_keeps:
                    return
            if not said:
                say("download: waiting for the list of the pictures, which another process makes")
                said = True
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def gather(self) -> Taken:
        """Bring the pictures, decode them, and apply all rules."""
        forget_list(self.folder)
        # DVC deletes a stage's outs before it runs: what was fetched survives in the scratch.
        store = self.opened.enter_context(DownloadStore.open(scratch_root() / "downloads"))
        rows = self.opened.enter_context(open_rows(store.folder))
        intake = take_in(
            open_source(self.settings, seed=self.seed, store=store),
            self.settings,
            seed=self.seed,
            store=store,
            folder=self.folder,
            rows=rows,
        )
        return Taken(intake, store)


def write(taken: Taken, settings: Data, pretrained: Pretrained, *, folder: Path) -> None:
    """Write the outs, from what was taken in by the run that has this folder."""
    intake, store = taken
    counts = data_metrics(intake)
    for line in summary(counts):
        say(line)
    write_report(layout.REPORT, intake)
    write_json(layout.METRICS / "data.json", headlines(counts))
    write_tsv(layout.METRICS / "data.tsv", list(flat(counts)))
    check_enough(intake, min_kept=settings.min_kept)
    try:
        with replacing(layout.IMAGES) as aside:
            write_shards(aside, intake.pictures)
    except UserError:
        forget_looks(folder)  # else whoever runs it again meets them again
        raise
    write_pairs(layout.PAIRS, intake.pairs)
    write_prompts(layout.PROMPTS, judged_prompts(intake, settings))
    bring_pretrained(pretrained, layout.PRETRAINED, store=store, http=settings.http)
