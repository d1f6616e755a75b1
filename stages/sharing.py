"""Stages that are maps, done in shares by all processes that were started for the same run.

Whoever comes first keeps the run: it waits until all shares are there and puts them together. If it
is killed, another one does. A process that was told by its launcher that it is not the first of
several leaves when nothing is left for it to do; any other stays until the stage's outs are there,
as DVC expects of the process that it started.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.errors import OwnError, UserError
from pipeline.files import remove
from pipeline.params import read_yaml
from pipeline.progress import say
from pipeline.shares import SECONDS_BETWEEN_LOOKS, Shares, Task
from stages.places import Place
from stages.runs import drop_older, held, run_folder


def do_in_shares(
    stage: str,
    tasks: Mapping[str, Task],
    *,
    label: str,
    put_together: Callable[[list[Path]], object],
) -> None:
    """Do the `tasks` of a stage, together with whoever else is at this very run.

    Args:
        tasks: what makes each share; see `Shares`.
        label: of the progress lines.
        put_together: makes the stage's outs of the shares' files; it must leave these as they are.

    Raises:
        OwnError: a share cannot be made, or the outs.
    """
    place, folder = Place.find(os.environ), run_folder(stage)
    shares, over = Shares(folder, tasks, label), _Over.of(folder, stage)
    came_in_between = place.count > 1  # the others may have ended before it was started
    helped = False
    while True:
        with held(folder) as keeps:
            if keeps:
                if came_in_between and over.holds():
                    if not helped:
                        say(f"{stage}: made already; remove its outs to make them again")
                    return
                over.forget()
                drop_older(folder)
                try:
                    put_together(shares.gather())
                except UserError as error:
                    raise OwnError(str(error)) from None
                over.remember()
                remove(folder)
                return
        if helped:
            if place.number > 0:
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)
        shares.help(is_over=over.holds)
        helped = came_in_between = True


class _Over:
    """What tells who comes late that this run's outs are there.

    Attributes:
        path: a file that names the outs, and when each was made.
        outs: of the stage.
    """

    def __init__(self, path: Path, outs: list[Path]) -> None:
        self.path, self.outs = path, outs

    @classmethod
    def of(cls, folder: Path, stage: str) -> _Over:
        """That of a stage's run, by the run's folder."""
        listed = read_yaml(Path("dvc.yaml"))["stages"][stage]["outs"]
        return cls(folder.with_suffix(".over"), [Path(out) for out in listed])

    def holds(self) -> bool:
        """Whether the outs are those that were remembered."""
        try:
            return self.path.read_text(encoding="utf-8") == self._made()
        except FileNotFoundError:
            return False

    def remember(self) -> None:
        """Note the outs as they are."""
        self.path.write_text(self._made(), encoding="utf-8", newline="\n")

    def forget(self) -> None:
        """Drop the notes of all runs of the stage: they have the same outs."""
        for path in self.path.parent.glob("*.over"):
            remove(path)

    def _made(self) -> str:
        return json.dumps({str(out): out.stat().st_mtime_ns for out in self.outs})
