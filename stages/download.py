"""download: annotation files and their pictures → images, a table of pairs, a report, resources."""

from __future__ import annotations

from pipeline.data.pairs import write_pairs
from pipeline.data.picture_shards import write_shards
from pipeline.data.prompts import write_prompts
from pipeline.download.intake import take_in
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
from pipeline.files import replacing, write_json, write_tsv
from pipeline.params import SEED, load_section
from pipeline.progress import say
from stages import layout
from stages.scratch import scratch_root


def main() -> None:
    """Run the stage."""
    seed = load_section(layout.PARAMS, "seed", SEED)
    settings = load_section(layout.PARAMS, "data", Data)
    pretrained = load_section(layout.PARAMS, "pretrained", Pretrained)

    # DVC deletes a stage's outs before it runs: what was fetched survives in the scratch folder.
    with (
        DownloadStore.open(scratch_root() / "downloads") as store,
        open_rows(store.folder) as rows,
    ):
        files = open_source(settings, seed=seed, store=store)
        intake = take_in(files, settings, seed=seed, store=store, folder=store.folder, rows=rows)
        counts = data_metrics(intake)
        for line in summary(counts):
            say(line)
        write_report(layout.REPORT, intake)
        write_json(layout.METRICS / "data.json", headlines(counts))
        write_tsv(layout.METRICS / "data.tsv", list(flat(counts)))
        check_enough(intake, min_kept=settings.min_kept)
        with replacing(layout.IMAGES) as aside:
            write_shards(aside, intake.pictures)
        write_pairs(layout.PAIRS, intake.pairs)
        write_prompts(layout.PROMPTS, judged_prompts(intake, settings))
        bring_pretrained(pretrained, layout.PRETRAINED, store=store, http=settings.http)
