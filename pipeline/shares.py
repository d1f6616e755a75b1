"""A map in shares, by any number of processes on any machines that see one folder.

They do not talk to one another. Each takes a share that is not there yet and that nobody is at,
computes it, and puts it into the folder whole. So a process that is killed costs the share that it
was at, whoever comes later helps, and the bytes know nothing of how many there were. One of them
waits for the last share and puts all together.

A share is one file, or one folder. Its checksum lies beside it, is there before it, and is compared
when the shares are put together: a damaged share is computed again.

Who is at a share holds a lock on a file, which the system takes from a process that is killed. On a
disk that machines share, that needs locks which reach beyond one machine (NFS 4, Lustre mounted
with `flock`). Where they do not reach, a share is computed twice and to the same bytes, for each
process writes it aside under its own name; but nothing keeps two from putting all together at once.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.files import remove, replacing
from pipeline.progress import progress, say
from pipeline.sealing import digest

Task = Callable[[Path], object]  # given where to write its share

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_LINES = 10.0


class Over(Exception):
    """All was put together meanwhile: nobody needs these shares."""


def never() -> bool:
    """What `is_over` is for who puts all together."""
    return False


@dataclass(frozen=True)
class Shares:
    """A folder in which the shares of one run gather.

    Attributes:
        folder: every process of the run sees it; it holds nothing but the run's shares.
        tasks: what makes each share, by a name that a file may have. The same share must
            come out in the same bytes, whoever computes it.
        label: of the progress lines.
        refused: those that raised while helping; who gathers the shares tries again, and says so.
    """

    folder: Path
    tasks: Mapping[str, Task]
    label: str
    refused: set[str] = field(default_factory=set, init=False)

    def help(self, *, is_over: Callable[[], bool]) -> None:
        """Compute shares until there is none left that no other process has or is at.

        Args:
            is_over: whether all were put together meanwhile, so that the folder may be gone.
        """
        names = list(self.tasks)
        first = random.randrange(len(names)) if names else 0  # so that they meet late
        missing = names[first:] + names[:first]
        while missing:
            held = []
            for name in missing:
                if is_over():
                    return
                if name in self.refused:
                    there = False
                else:
                    try:
                        there = self._have(name)
                    except UserError:
                        self.refused.add(name)
                        there = False
                if not there:
                    held.append(name)
            if held == missing:
                return
            missing = held

    def gather(self, *, is_over: Callable[[], bool] = never) -> list[Path]:
        """See that all shares are there and whole, and wait for those that others are at.

        Args:
            is_over: as `help` takes it; for who needs the shares, but does not keep the run.

        Returns:
            Their files or folders, in the order of `tasks`.

        Raises:
            Over: it is.
        """
        while True:
            for _ in progress(self._each(is_over), total=len(self.tasks), label=self.label):
                pass
            files = [self.folder / name for name in self.tasks]
            damaged = [file for file in files if not _is_whole(file)]
            if not damaged:
                return files
            if is_over():
                raise Over
            for file in damaged:
                say(f"{file}: damaged (its checksum differs); it is computed again")
                remove(file)

    def _each(self, is_over: Callable[[], bool]) -> Iterator[str]:
        """Yield each share's name once it is there."""
        missing, said = list(self.tasks), time.monotonic()
        while missing:
            held = []
            for name in missing:
                if is_over():
                    raise Over
                if self._have(name):
                    yield name
                else:
                    held.append(name)
            if held == missing:
                if time.monotonic() - said >= SECONDS_BETWEEN_LINES:
                    said = time.monotonic()
                    say(f"{self.label}: waiting for {len(held)} that other processes are at")
                time.sleep(SECONDS_BETWEEN_LOOKS)
            missing = held

    def _have(self, name: str) -> bool:
        """Compute a share if it is not there; False: another is at it, or removed the folder."""
        file = self.folder / name
        if file.exists():
            return True
        try:
            with FileLock(_beside(file, "locks"), blocking=False):
                if not file.exists():
                    self._compute(file)
        except Timeout:
            return False
        except FileNotFoundError:
            if self._own.exists():  # what is missing is not ours
                raise
        return file.exists()

    @property
    def _own(self) -> Path:
        """Where this process alone writes."""
        return self.folder / f"at-{socket.gethostname()}-{os.getpid()}"

    def _compute(self, file: Path) -> None:
        own = self._own
        with replacing(own / file.name) as aside:
            self.tasks[file.name](aside)
        seal = own / f"{file.name}.seal"
        seal.write_text(digest(own / file.name), encoding="utf-8", newline="\n")
        seal.replace(_beside(file, "seals"))
        if not file.exists():  # locks may not reach as far as the disk
            (own / file.name).replace(file)


def _beside(file: Path, what: str) -> Path:
    """A share's lock or seal."""
    folder = file.parent / what
    folder.mkdir(parents=True, exist_ok=True)
    return folder / file.name


def _is_whole(file: Path) -> bool:
    try:
        return _beside(file, "seals").read_text(encoding="utf-8") == digest(file)
    except (FileNotFoundError, UnicodeDecodeError):
        return False
