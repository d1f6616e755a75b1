"""What was fetched, kept between runs: bodies under the hash of their bytes, an entry for each URL.

A run that was killed leaves whole entries and whole bodies, or none: both are written aside and
renamed, and a body is hashed again before it is used, so nothing needs to be synced to the disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.files import remove


@dataclass(frozen=True)
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
    """A folder of fetched bodies; one process uses it at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._partial = folder / "partial"
        self._counter = 0
        self._counting = threading.Lock()

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[DownloadStore]:
        """Wait until no other process uses the folder, and clear away what a killed one left."""
        folder.mkdir(parents=True, exist_ok=True)
        store = cls(folder)
        with (folder / "lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            remove(store._partial)
            for part in (store._partial, folder / "urls", folder / "bodies"):
                part.mkdir(exist_ok=True)
            yield store

    def body(self, sha256: str) -> Path:
        """Where the body with this hash lies."""
        return self.folder / "bodies" / sha256

    def get(self, url: str) -> Entry | None:
        """What is known of a URL, if its body is there and whole."""
        try:
            entry = Entry(**json.loads(self._entry(url).read_text(encoding="utf-8")))
            with self.body(entry.sha256).open("rb") as stream:
                whole = hashlib.file_digest(stream, "sha256").hexdigest() == entry.sha256
        except (OSError, ValueError, TypeError):
            return None
        return entry if whole and entry.url == url else None

    def new_partial(self) -> Path:
        """A path for a body that is still arriving."""
        with self._counting:
            self._counter += 1
            return self._partial / str(self._counter)

    def keep(self, entry: Entry, partial: Path | None = None) -> None:
        """Record an entry; `partial` holds its body, unless that is here already."""
        if partial is not None:
            partial.replace(self.body(entry.sha256))
        aside = self.new_partial()
        aside.write_text(json.dumps(asdict(entry)), encoding="utf-8")
        aside.replace(self._entry(entry.url))

    def forget(self, url: str) -> None:
        """Drop a URL's entry, so that the next run asks its server again."""
        self._entry(url).unlink(missing_ok=True)

    def _entry(self, url: str) -> Path:
        # A URL is a stranger's text: its hash names the file.
        return self.folder / "urls" / f"{hashlib.sha256(url.encode()).hexdigest()}.json"
