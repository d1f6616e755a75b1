"""From what a row says of its picture to a checked file: find or fetch it, decode it, name it."""

from __future__ import annotations

import os
import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from urllib.parse import urljoin

from pipeline.download.dedupe import Signatures
from pipeline.download.downloads import Downloads, Fetched
from pipeline.download.fetch import FetchError, clean_url
from pipeline.download.looks import look_at
from pipeline.download.rows import the_one
from pipeline.download.settings import Http
from pipeline.download.store import DownloadStore
from pipeline.progress import progress

HAS_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a picture is: a URL, or a file on this machine.

    Attributes:
        url: as it is asked for; "" for a file.
        file: its path; "" for a URL.
    """

    url: str = ""
    file: str = ""


def locate(image: str, base: str | Path) -> Location:
    """Understand a row's `image`: a URL, or a path (or URL) relative to the annotation file.

    Args:
        image: as the row has it; white space around it is dropped, `//host/…` is https, a path may
            be written with backslashes, and a file name composed or decomposed.
        base: the annotation file's URL or path.

    Raises:
        FetchError: "bad_url" or "bad_path"; a path may not leave the annotation file's folder.
    """
    if HAS_SCHEME.match(image):
        return Location(clean_url(image))
    if image.strip().startswith("//") and not isinstance(base, str):
        return Location(clean_url(f"https:{image.strip()}"))
    if isinstance(base, str):
        try:
            return Location(clean_url(urljoin(base, image.strip())))
        except ValueError as error:
            raise FetchError("bad_url", " ".join(str(error).split())) from None
    path = Path(image)
    if "\\" in image and not (base.parent / path).exists():
        path = Path(image.replace("\\", "/"))
    if path.anchor or ".." in path.parts:  # on Windows `C:x` and `/x` lead out, too
        raise FetchError("bad_path", "leads out of the annotation file's folder")
    if any(ord(c) < 32 for c in image):
        raise FetchError("bad_path", "holds a control character")
    return Location(file=str(find_file(base.parent, path)))


def find_file(folder: Path, path: Path) -> Path:
    """A file below a folder, also if its name has blanks around it or is decomposed otherwise.

    A Mac's archives hold `é` as `e` and an accent; to most file systems these are two names.
    """
    try:
        if (there := folder / path).exists():
            return there
        found = folder
        for part in Path(str(path).strip()).parts:
            if not (found / part).exists():
                names = _names(found, found.stat().st_mtime_ns)
                part = names.get(unicodedata.normalize("NFC", part), part)
            found = found / part
        return found if found.exists() else folder / path
    except (OSError, ValueError):  # no name that a file system takes
        return folder / path


@lru_cache(maxsize=64)
def _names(folder: Path, changed: int) -> dict[str, str]:
    """Composed name → name of each entry of a folder that last changed then."""
    names = sorted(path.name for path in folder.iterdir())
    return {unicodedata.normalize("NFC", name): name for name in names}


def bring(rows: sqlite3.Connection, store: DownloadStore, http: Http) -> None:
    """Find the bytes of every place that a kept row names: look at files, fetch URLs.

    A URL whose server fails now, but gave a picture to an earlier run, keeps that picture.
    """
    wanted = "FROM place WHERE place IN (SELECT place FROM kept) AND"
    files = rows.execute(f"SELECT place, path {wanted} url = ''")
    rows.executemany(
        "UPDATE place SET body = ?, reason = ?, detail = ? WHERE place = ?",
        ((*_file(path, http.max_bytes), place) for place, path in files),
    )
    count = the_one(rows, f"SELECT count(*) {wanted} url != ''")
    if count:
        urls = (url for (url,) in rows.execute(f"SELECT url {wanted} url != ''"))
        ends = Downloads(store, http).fetch_all(urls)
        rows.executemany(
            "UPDATE place SET body = ?, reason = ?, detail = ?, status = ? "
            "WHERE url = ? AND path = x''",
            (
                (*_fetched(fetched, store), url)
                for url, fetched in progress(ends, total=count, label="pictures")
            ),
        )


def _file(path: bytes, max_bytes: int) -> tuple[bytes | None, str, str]:
    """A file's own path, or none, a reason and a detail."""
    try:
        file = Path(os.fsdecode(path))
        if not file.is_file():
            return None, "no_file", "there is no such file"
        if file.stat().st_size > max_bytes:
            return None, "too_large", f"more than {max_bytes} bytes"
    except (OSError, ValueError):  # a name that no file system takes
        return None, "no_file", "no name for a file"
    return path, "", ""


def _fetched(fetched: Fetched, store: DownloadStore) -> tuple[bytes | None, str, str, int | None]:
    """The path of what came, or none, a reason, a detail, and the server's status."""
    entry, error = fetched.entry, fetched.error
    if entry is not None:
        kept = f"an earlier copy; now {error.reason}" if error else ""
        return os.fsencode(store.body(entry.sha256)), "", kept, entry.status
    assert error is not None, "it came, or there is an error"
    return None, error.reason, error.detail, error.status


def examine(rows: sqlite3.Connection, *, max_pixels: int, folder: Path) -> Signatures:
    """Decode what `bring` found to its end: whatever is a picture gets its name.

    Args:
        max_pixels: see `decode_image`.
        folder: for what grows with the pictures.
    """
    brought = "FROM place WHERE body IS NOT NULL"
    bodies = rows.execute(f"SELECT DISTINCT body {brought} ORDER BY body")
    files = (os.fsdecode(body) for (body,) in bodies)
    looks, signatures = look_at(files, max_pixels=max_pixels, folder=folder)
    places = rows.execute(f"SELECT body, place, detail {brought} ORDER BY body")

    def found() -> Iterator[tuple[int, str | None, str, str, int]]:
        by_body = groupby(places, key=itemgetter(0))
        for signature, (look, (_, of_body)) in enumerate(zip(looks, by_body, strict=True)):
            for _, place, note in of_body:
                notes = [note, look.detail] if look.name else [look.detail]
                detail = "; ".join(note for note in notes if note)
                yield signature, look.name or None, look.reason, detail, place

    rows.executemany(
        "UPDATE place SET signature = ?, name = ?, reason = ?, detail = ? WHERE place = ?", found()
    )
    return signatures


def leave_out_placeholders(rows: sqlite3.Connection, *, most: int) -> None:
    """Take no picture for one that has its bytes at more places than `most`, unless that is 0."""
    if most:
        rows.executemany(
            """
            UPDATE place SET name = NULL, reason = 'placeholder',
                detail = 'the same bytes at ' || ? || ' places'
            WHERE name = ?
            """,
            rows.execute(
                """
                SELECT count(*), name FROM place WHERE name IS NOT NULL
                GROUP BY name HAVING count(*) > ?
                """,
                (most,),
            ).fetchall(),
        )
