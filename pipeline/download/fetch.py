"""One URL to one file on disk, from servers that may fail, stall, lie or mean harm."""

from __future__ import annotations

import hashlib
import http.client as http_client
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    IncompleteRead,
    InvalidHeader,
    LocationParseError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.util import Retry

from pipeline.download.addresses import ForbiddenAddress
from pipeline.download.pace import PATIENCE
from pipeline.download.settings import Http
from pipeline.download.store import DownloadStore, Entry

MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
# Statuses that may pass: the server is busy, restarting or behind a proxy that is.
PASSING = (408, 425, 429, 500, 502, 503, 504)
CHUNK = 64 * 1024
BACKOFF, LONGEST_BACKOFF, JITTER = 0.5, 20.0, 0.5  # seconds; doubled from try to try


class FetchError(Exception):
    """A URL gave no body.

    Attributes:
        reason: one word for a report, "http_404" or "timeout" for example.
        detail: one line that says more, the same each time.
        status: the HTTP status, if the server answered.
        passing: whether another try may end otherwise.
        retry_after: how many seconds the server asked to wait.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        status: int | None = None,
        passing: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.status = status
        self.passing = passing
        self.retry_after = retry_after


@dataclass(frozen=True)
class Answer:
    """A whole body on disk, or, with `status` 304, the news that the one here is still right."""

    status: int
    etag: str
    last_modified: str
    sha256: str


class Deadline:
    """When time is up for one URL, counted from its first request."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self.end - time.monotonic()

    def check(self, status: int | None = None) -> None:
        """Raise if time is up."""
        if self.left <= 0:
            raise FetchError("deadline", "not whole when its time was up", status=status)


def clean_url(text: str) -> str:
    """A URL without the white space around it and without its fragment.

    Raises:
        FetchError: it is not an http or https URL with a host and without a password.
    """
    url = text.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise FetchError("bad_url", " ".join(str(error).split())) from None
    if parts.scheme.lower() not in ("http", "https"):
        raise FetchError("bad_url", "only http and https are fetched")
    if not host:
        raise FetchError("bad_url", "no host")
    if parts.username is not None or parts.password is not None:
        raise FetchError("bad_url", "holds a user name or a password")
    if any(ord(c) < 32 or ord(c) == 127 for c in url):
        raise FetchError("bad_url", "holds a control character")
    return parts._replace(fragment="").geturl()


def fetch(
    url: str,
    *,
    session: requests.Session,
    store: DownloadStore,
    http: Http,
    deadline: Deadline,
    slot: Callable[[str], AbstractContextManager[None]],
    pause: Callable[[float], object],
    known: Entry | None,
) -> Entry:
    """Fetch a URL into the store, trying again what may pass; a refusal for haste is not one.

    Args:
        url: what `clean_url` gave.
        session: of this thread, from `new_session`.
        slot: gives a context in which the host of a URL may be asked.
        pause: waits for some seconds.
        known: what is in the store, to be asked for only if it has changed.

    Raises:
        FetchError: the last try's reason; one with a status of `PATIENCE` is for the caller to
            ask again, when the host may be asked.
    """
    retry = Retry(
        http.retries, backoff_factor=BACKOFF, backoff_max=LONGEST_BACKOFF, backoff_jitter=JITTER
    )
    before: FetchError | None = None
    while True:
        partial = store.new_partial()
        try:
            answer = _follow(url, known, session, partial, http, deadline, slot)
            break
        except FetchError as error:
            partial.unlink(missing_ok=True)
            if before is not None and error.reason == "deadline" and error.status is None:
                raise before from None  # its time ran out while it waited for its turn
            before = error
            if not error.passing or error.status in PATIENCE:
                raise
            try:
                retry = retry.increment("GET", url, error=error)
            except MaxRetryError:
                raise error from None
            wait = retry.get_backoff_time() if error.retry_after is None else error.retry_after
            if wait >= deadline.left:
                raise
        pause(wait)

    if answer.status == 304 and known is not None:
        entry = replace(known, refresh=http.refresh)
        store.keep(entry)
        return entry
    entry = Entry(
        url, answer.sha256, answer.status, answer.etag, answer.last_modified, http.refresh
    )
    store.keep(entry, partial)
    return entry


def _follow(
    url: str,
    known: Entry | None,
    session: requests.Session,
    partial: Path,
    http: Http,
    deadline: Deadline,
    slot: Callable[[str], AbstractContextManager[None]],
) -> Answer:
    """One try: the request and the redirects that it leads through."""
    headers = {}
    if known is not None and known.etag:
        headers["If-None-Match"] = known.etag
    if known is not None and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    status = None
    cookies = RequestsCookieJar()  # some servers let a picture out only to whom they gave one
    for _ in range(MOST_REDIRECTS + 1):
        deadline.check(status)
        with slot(url):
            try:
                fields = {**session.headers, **headers}
                request = requests.Request("GET", url, fields, cookies=cookies).prepare()
                connect = min(http.connect_timeout, max(deadline.left, 0.01))
                response = session.send(
                    request, stream=True, timeout=(connect, http.read_timeout), proxies={}
                )
                with response:
                    extract_cookies_to_jar(cookies, request, response.raw)
                    status = response.status_code
                    target = response.headers.get("Location")
                    if status not in REDIRECTS or not target:
                        return _receive(response, partial, http, deadline, known)
            except (requests.RequestException, HTTPError, ValueError) as error:
                deadline.check(status)  # a cut connection is the clock's doing, not the server's
                raise _explained(error, status) from None
        try:
            url = clean_url(urljoin(url, target.encode("latin-1").decode("utf-8", "replace")))
        except (FetchError, ValueError) as error:
            raise FetchError("bad_redirect", _safe(str(error)), status=status) from None
    raise FetchError("too_many_redirects", f"more than {MOST_REDIRECTS}", status=status)


def _receive(
    response: requests.Response,
    partial: Path,
    http: Http,
    deadline: Deadline,
    known: Entry | None,
) -> Answer:
    """Stream a body to disk, or raise what the status says."""
    status, headers = response.status_code, response.headers
    if status == 304 and known is not None:
        return Answer(304, known.etag, known.last_modified, known.sha256)
    if status not in (200, 203):
        raise FetchError(
            f"http_{status}",
            status=status,
            passing=status in PASSING,
            retry_after=_retry_after(headers.get("Retry-After")),
        )
    length = headers.get("Content-Length", "")
    if length.isdecimal() and int(length[:20]) > http.max_bytes:
        raise FetchError("too_large", f"more than {http.max_bytes} bytes", status=status)

    digest, size = hashlib.sha256(), 0
    with partial.open("wb") as stream:
        # read1 returns what has come; read would wait for a full chunk, a byte a second for ever.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            size += len(chunk)
            if size > http.max_bytes:
                raise FetchError("too_large", f"more than {http.max_bytes} bytes", status=status)
            deadline.check(status)
            digest.update(chunk)
            stream.write(chunk)
    deadline.check(status)  # a connection that was cut at the deadline may look like a body's end
    if size == 0:
        raise FetchError("empty", "no bytes", status=status)
    return Answer(
        status, headers.get("ETag", ""), headers.get("Last-Modified", ""), digest.hexdigest()
    )


def _retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header, a number or a date; None if it makes no sense."""
    try:
        return None if value is None else max(Retry(0).parse_retry_after(value), 0.0)
    except (InvalidHeader, ValueError, OverflowError):
        return None


def _explained(error: Exception, status: int | None) -> FetchError:
    """The libraries' errors in our words, which hold no memory addresses, ports or times."""
    cause: BaseException = error
    while isinstance(cause, requests.RequestException | MaxRetryError):
        inner = getattr(cause, "reason", None) or (cause.args[0] if cause.args else None)
        if not isinstance(inner, BaseException):
            break
        cause = inner
    reason, detail, passing = "broken_connection", type(cause).__name__, True
    match cause:
        case ForbiddenAddress():
            reason, detail, passing = "forbidden_address", _safe(str(cause)), False
        case NameResolutionError():
            reason, detail = "unknown_host", "its name does not resolve"
        case ConnectTimeoutError() if not isinstance(cause, NewConnectionError):
            reason, detail = "no_connection", "timed out"
        case NewConnectionError():
            why = cause.__cause__
            reason, detail = "no_connection", (isinstance(why, OSError) and why.strerror) or ""
        case ReadTimeoutError():
            reason, detail = "timeout", "no further bytes in time"
        case IncompleteRead() | ProtocolError(args=(_, http_client.IncompleteRead())):
            reason, detail = "truncated", "the body ended early"
        case DecodeError():
            reason, detail, passing = "bad_encoding", "Content-Encoding and body differ", False
        case requests.exceptions.InvalidURL() | LocationParseError() | UnicodeError():
            reason, detail, passing = "bad_url", "no URL that can be asked", False
    if isinstance(error, requests.exceptions.SSLError):
        reason, detail, passing = "tls", "no trusted connection", False
    return FetchError(reason, detail, status=status, passing=passing)


def _safe(text: str) -> str:
    return " ".join(text.encode("ascii", "backslashreplace").decode().split())[:200]
