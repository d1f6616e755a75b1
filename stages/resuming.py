"""Going on with a training after an interruption: where what it has done so far lies."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import remove, write_text
from pipeline.progress import say
from stages.layout import AHEAD
from stages.runs import drop_older, held, run_folder

FINISHED = "finished"  # beside the runs' folders: the name of the last one that ended
MARK = "ahead"  # in a run's folder: the process that holds it trains ahead
SECONDS_BETWEEN_LOOKS = 1.0


@contextlib.contextmanager
def kept_run(stage: str) -> Iterator[Path]:
    """This run of `stage`'s folder; removed when the body ends without an error.

    On another number of processes a training adds up otherwise, so that is another run. One that
    is trained ahead (see `stages.beside`) is waited for: it ends with the stage that it is beside.

    Raises:
        UserError: another process is at exactly this run.
        SystemExit: this process trains ahead what is finished.
    """
    folder = run_folder(stage, processes=os.environ.get("WORLD_SIZE", "1"))
    finished, mark = folder.with_name(FINISHED), folder / MARK
    if trains_ahead() and _named(finished) == folder.name:
        raise SystemExit
    folder.mkdir(parents=True, exist_ok=True)
    if os.environ.get("RANK", "0") != "0":  # the first process locks and tidies for its helpers
        yield folder
        return
    waited = False
    while True:
        with held(folder) as alone:
            if alone:
                mark.touch() if trains_ahead() else remove(mark)
                drop_older(folder)
                yield folder
                write_text(finished, folder.name)
                remove(folder)
                return
        if trains_ahead() or not mark.exists():
            raise UserError(
                f"{stage}: another process is already at exactly this run; wait for it or end it"
            )
        if not waited:
            say(f"{stage}: a process trains it ahead, beside another stage; waiting for it")
            waited = True
        time.sleep(SECONDS_BETWEEN_LOOKS)


def trains_ahead() -> bool:
    """Whether this process trains ahead of its stage's turn, and leaves nothing but checkpoints."""
    return AHEAD in os.environ


def _named(finished: Path) -> str | None:
    return finished.read_text(encoding="utf-8") if finished.exists() else None
