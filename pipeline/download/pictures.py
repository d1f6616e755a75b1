"""From what a row says of its picture to a checked file: find or fetch it, decode it, name it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import urljoin

from pipeline.download.dedupe import Signatures
from pipeline.download.downloads import Downloads
from pipeline.download.fetch import FetchError, clean_url
from pipeline.download.looks import look_at
from pipeline.download.settings import Http
from pipeline.download.store import DownloadStore
from pipeline.progress import progress

HAS_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a picture is: a URL, or a file on this machine.

    Attributes:
        url: as it is asked for; "" for a file.
        file: its path, as a text, which takes a fourth of a `Path`'s memory; "" for a URL.
    """

    url: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Brought:
    """What a location gave.

    Attributes:
        file: the path of the bytes on disk; "" if there are none.
        reason: "" or why there are none, in one word; `detail` says more.
        status: the HTTP status, None for a file or without an answer.
    """

    file: str = ""
    reason: str = ""
    detail: str = ""
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A location's bytes after decoding them.

    Attributes:
        source: where the bytes are and how they came; with a reason if they are no picture.
        name: of the picture from here on, made of the bytes' hash; "" without a picture.
        row: among the signatures that `dedupe` compares; -1 without a picture.
    """

    source: Brought
    name: str = ""
    row: int = -1


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
        if (folder / path).exists():
            return folder / path
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


def bring(
    locations: Iterable[Location], store: DownloadStore, http: Http
) -> dict[Location, Brought]:
    """Find every location's bytes: look at files, fetch URLs.

    A URL whose server fails now, but gave a picture to an earlier run, keeps that picture.
    """
    found = {at: _file(at.file, http.max_bytes) for at in locations if at.file}
    urls = {at.url: at for at in locations if not at.file}
    if urls:
        ends = Downloads(store, http).fetch_all(urls)
        for url, fetched in progress(ends, total=len(urls), label="pictures"):
            if fetched.entry is not None:
                kept = f"an earlier copy; now {fetched.error.reason}" if fetched.error else ""
                body = str(store.body(fetched.entry.sha256))
                found[urls[url]] = Brought(body, detail=kept, status=fetched.entry.status)
            elif fetched.error is not None:
                error = fetched.error
                found[urls[url]] = Brought("", error.reason, error.detail, error.status)
    return found


def _file(file: str, max_bytes: int) -> Brought:
    path = Path(file)
    try:
        if not path.is_file():
            return Brought("", "no_file", "there is no such file")
        if path.stat().st_size > max_bytes:
            return Brought("", "too_large", f"more than {max_bytes} bytes")
    except (OSError, ValueError):  # a name that no file system takes
        return Brought("", "no_file", "no name for a file")
    return Brought(file)


def examine(
    sources: Mapping[Location, Brought], *, max_pixels: int, placeholder_urls: int, folder: Path
) -> tuple[dict[Location, Picture], Signatures]:
    """Decode every picture to its end.

    Args:
        sources: what `bring` gave.
        max_pixels: see `decode_image`.
        placeholder_urls: the same bytes at more locations than this are what a server shows instead
            of a picture ("no access"), and are left out; 0: never.
        folder: for what grows with the pictures.
    """
    files = sorted({source.file for source in sources.values() if source.file})
    looks, signatures = look_at(files, max_pixels=max_pixels, folder=folder)
    seen = {file: (row, look) for row, (file, look) in enumerate(zip(files, looks, strict=True))}

    pictures = {}
    for at, source in sources.items():
        if not source.file:
            pictures[at] = Picture(source)
            continue
        row, look = seen[source.file]
        if not look.name:
            pictures[at] = Picture(Brought("", look.reason, look.detail, source.status))
            continue
        notes = "; ".join(note for note in (source.detail, look.detail) if note)
        source = source if notes == source.detail else replace(source, detail=notes)
        pictures[at] = Picture(source, look.name, row)
    _leave_out_placeholders(pictures, placeholder_urls)
    return pictures, signatures


def _leave_out_placeholders(pictures: dict[Location, Picture], placeholder_urls: int) -> None:
    counts = Counter(picture.name for picture in pictures.values() if picture.name)
    for at, picture in pictures.items():
        count = counts[picture.name] if picture.name else 0
        if placeholder_urls and count > placeholder_urls:
            told = f"the same bytes at {count} places"
            pictures[at] = Picture(Brought("", "placeholder", told, picture.source.status))
