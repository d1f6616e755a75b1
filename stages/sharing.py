"""Stages that are maps, done in shares by all processes that were started for the same run.

Whoever comes first keeps the run: it waits until all shares are there and puts them together. If it
is killed, another one does that is still there, or the next that is started. A process that was
told that it is not the first of several (see `stages.places`) leaves when nothing is left for it to
do; any other stays until the stage's outs are there, as DVC expects of the process that it started.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from filelock import FileLock

from pipeline.errors import OwnError, UserError
from pipeline.files import remove
from pipeline.params import read_yaml
from pipeline.progress import say
from pipeline.shares import SECONDS_BETWEEN_LOOKS, Shares, Task
from stages.places import Place
from stages.runs import drop_older, held, run_folder, watched

SECONDS_BETWEEN_OFFERS = 5.0  # to help again: each looks at every share

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Work(Protocol[T_co]):
    """What the processes of a run do together; `Shares` is one."""

    def help(self, *, is_over: Callable[[], bool]) -> None:
        """Do what nobody else has done or is at, unless the outs are there meanwhile."""
        ...

    def gather(self) -> T_co:
        """Do or wait for all that is left: what the outs are made of."""
        ...


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
    folder = run_folder(stage)
    do_together(stage, folder, Shares(folder, tasks, label), put_together=put_together)


def do_together(
    stage: str, folder: Path, work: Work[T], *, put_together: Callable[[T], object]
) -> None:
    """Do the `work` of a stage, together with whoever else is at this very run.

    Args:
        folder: the run's, in which its shares gather.
        put_together: makes the stage's outs of what `work` gathered.

    Raises:
        OwnError: the work cannot be done, or the outs not made.
    """
    place, over = Place.find(os.environ), _Over.of(folder, stage)
    came_in_between = place.count > 1  # the others may have ended before it was started
    helped, offered = False, 0.0
    while True:
        with held(folder) as keeps:
            if keeps:
                if came_in_between and over.holds():
                    if not helped:
                        say(f"{stage}: made already; remove its outs to make them again")
                    return
                over.forget()
                with contextlib.suppress(OSError):  # one whose keeper was killed may be written yet
                    drop_older(folder)
                try:
                    made = work.gather()
                    with over.alone():
                        put_together(made)
                        over.remember()
                except UserError as error:
                    raise OwnError(str(error)) from None
                with contextlib.suppress(OSError):  # who looks late makes a folder for its locks
                    remove(folder)  # else it is dropped as an older one
                return
        if helped:
            if place.number > 0:
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)
        if not helped or time.monotonic() - offered >= SECONDS_BETWEEN_OFFERS:
            work.help(is_over=over.holds)
            offered = time.monotonic()
        helped = came_in_between = True


class _Over:
    """What tells who comes late that this run's outs are there.

    Clones may share a scratch folder, so its files are named after where the outs are, too.

    Args:
        run: the run's folder.
        outs: of the stage.
        made_of: what else they were made of than the run's name tells, see `watched`.
    """

    def __init__(self, run: Path, outs: list[Path], made_of: str) -> None:
        self._made_of = made_of
        where = "\0".join(str(out.resolve()) for out in outs)
        self.outs, self._place = outs, hashlib.sha256(where.encode()).hexdigest()[:8]
        self._folder = run.parent
        self._path = run.with_suffix(f".{self._place}.over")

    @classmethod
    def of(cls, run: Path, stage: str) -> _Over:
        """That of a stage's run, by the run's folder."""
        listed = read_yaml(Path("dvc.yaml"))["stages"][stage]["outs"]
        outs = [Path(out if isinstance(out, str) else next(iter(out))) for out in listed]
        return cls(run, outs, watched(stage))

    def holds(self) -> bool:
        """Whether the outs are those that were remembered."""
        try:
            return self._path.read_text(encoding="utf-8") == self._made()
        except FileNotFoundError:
            return False

    def remember(self) -> None:
        """Note the outs as they are."""
        self._path.write_text(self._made(), encoding="utf-8", newline="\n")

    def forget(self) -> None:
        """Drop the notes of all runs that made these outs."""
        for path in self._folder.glob(f"*.{self._place}.over"):
            remove(path)

    def alone(self) -> FileLock:
        """The lock of who writes these outs: two runs, on two kinds of device, may be at them."""
        return FileLock(self._folder / f"{self._place}.outs")

    def _made(self) -> str:
        times = {str(out): out.stat().st_mtime_ns for out in self.outs}
        return json.dumps([times, self._made_of])
