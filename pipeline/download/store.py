"""What was fetched, kept between runs: bodies under the hash of their bytes, a journal of URLs.

A run that was killed leaves whole bodies (they are written aside and renamed) and a journal whose
last line may be torn. A body is hashed again before it is used, so nothing is synced to the disk.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.files import remove
from pipeline.progress import say


@dataclass(frozen=True, slots=True)
class Entry:
    """What came from a URL.

    Attributes:
        sha256: of the body, in hexadecimal.
        status: the HTTP status under which the body came.
        etag, last_modified: the server's validators, "" for none.
        refresh: the value of `http.refresh` when the server was last asked.
    """

    url: str
    sha256: str
    status: int
    etag: str
    last_modified: str
    refresh: int


class DownloadStore:
    """A folder of fetched bodies and a journal of where they came from; one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._partial = folder / "partial"
        self._journal = folder / "journal.jsonl"
        self._entries = _read_journal(self._journal)
        self._counter = itertools.count(1)
        self._lock = threading.Lock()

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[DownloadStore]:
        """Wait until no other process uses the folder, and clear away what a killed one left."""
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            store = cls(folder)
            remove(store._partial)
            for part in (store._partial, folder / "bodies"):
                part.mkdir(exist_ok=True)
            yield store

    def body(self, sha256: str) -> Path:
        """Where the body with this hash lies."""
        return self.folder / "bodies" / sha256

    def get(self, url: str) -> Entry | None:
        """What is known of a URL, if its body is there and whole."""
        with self._lock:
            entry = self._entries.get(url)
        if entry is None:
            return None
        try:
            with self.body(entry.sha256).open("rb") as stream:
                whole = hashlib.file_digest(stream, "sha256").hexdigest() == entry.sha256
        except FileNotFoundError:
            return None
        return entry if whole else None

    def refresh_of(self, url: str) -> int | None:
        """The `http.refresh` under which a URL's server was last asked; None if it never gave."""
        with self._lock:
            entry = self._entries.get(url)
        return None if entry is None else entry.refresh

    def new_partial(self) -> Path:
        """A path for a body that is still arriving."""
        return self._partial / str(next(self._counter))

    def keep(self, entry: Entry, partial: Path | None = None) -> None:
        """Record an entry; `partial` holds its body, unless that is here already."""
        if partial is not None:
            _take_place(partial, self.body(entry.sha256))
        self._note(entry.url, entry)

    def forget(self, url: str) -> None:
        """Drop a URL's entry, so that the next run asks its server again."""
        self._note(url, None)

    def _note(self, url: str, entry: Entry | None) -> None:
        record = {"url": url} if entry is None else asdict(entry)
        with self._lock:
            with self._journal.open("a", encoding="utf-8", newline="\n") as stream:
                # A line that a killed run left unfinished ends here, and spoils no other.
                stream.write("\n" + json.dumps(record))
            if entry is None:
                self._entries.pop(url, None)
            else:
                self._entries[url] = entry


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / "lock")  # the system takes it from a process that was killed
    try:
        lock.acquire(blocking=False)
    except Timeout:
        say(f"{folder}: another process is downloading; waiting until it has ended")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _take_place(partial: Path, body: Path) -> None:
    try:
        partial.replace(body)
    except PermissionError:  # on Windows, while another thread reads the very same bytes
        if not body.exists():
            raise
        partial.unlink()


def _read_journal(path: Path) -> dict[str, Entry]:
    """The newest entry of every URL; lines that are not whole are passed over."""
    if not path.exists():
        return {}
    entries: dict[str, Entry] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            record = json.loads(line)
            url = record["url"]
            if len(record) == 1:
                entries.pop(url, None)
            else:
                entries[url] = Entry(**record)
        except (ValueError, TypeError, KeyError):
            continue
    return entries
