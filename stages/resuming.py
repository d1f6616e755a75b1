"""Going on with a training after an interruption: where its checkpoints lie."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from pipeline.errors import UserError
from pipeline.files import remove
from pipeline.training.checkpoints import Checkpoints
from stages.runs import drop_older, held, run_folder

AHEAD = "CODEBRUSH_AHEAD"  # set where a stage is trained ahead of its turn, see `stages.beside`
FINISHED = "finished"  # beside the runs' folders: the name of the last one that ended


@contextlib.contextmanager
def checkpoints(stage: str) -> Iterator[Checkpoints]:
    """The checkpoints of this run of `stage`; removed when the body ends without an error.

    On another number of processes a training adds up otherwise, so that is another run.

    Raises:
        SystemExit: this is a training ahead, of a run that is finished.
        UserError: another process is at exactly this run.
    """
    folder = run_folder(stage, processes=os.environ.get("WORLD_SIZE", "1"))
    finished = folder.with_name(FINISHED)
    if AHEAD in os.environ and finished.exists() and finished.read_text() == folder.name:
        raise SystemExit
    folder.mkdir(parents=True, exist_ok=True)
    if os.environ.get("RANK", "0") != "0":  # the first process locks and tidies for its helpers
        yield Checkpoints(folder)
        return
    with held(folder) as alone:
        if not alone:
            raise UserError(
                f"{stage}: another process is already at exactly this run; wait for it or end it"
            )
        drop_older(folder)
        yield Checkpoints(folder)
        finished.write_text(folder.name)
        remove(folder)


def leave_if_ahead() -> None:
    """End a training ahead, as if interrupted: what is made of it is left to its own stage."""
    if AHEAD in os.environ:
        raise SystemExit
