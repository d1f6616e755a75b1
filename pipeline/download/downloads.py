"""Many URLs at once: a bounded pool of threads, a bound for each host, a clock over every fetch."""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from pipeline.download.addresses import Wire, new_session
from pipeline.download.fetch import Deadline, FetchError, fetch
from pipeline.download.settings import Http
from pipeline.download.store import DownloadStore, Entry

# A host that gives no answer for this many pictures in a row is down: 2,000 time-outs of 20 seconds
# each would take hours. Its other pictures are reported lost; the next run asks for them again.
GIVE_UP_AFTER = 24
UNANSWERED = ("unknown_host", "no_connection", "timeout")
TICK = 0.05  # seconds between two looks of the clock


@dataclass(frozen=True)
class Fetched:
    """How a URL ended: an entry in the store, or the reason why there is none.

    Attributes:
        entry: what is in the store; beside an `error` the copy of an earlier run.
        error: why the server gave nothing now.
    """

    entry: Entry | None
    error: FetchError | None


class _Host:
    """What the threads share about one host."""

    def __init__(self, slots: int) -> None:
        self.slots = threading.BoundedSemaphore(slots)
        self.resume_at = 0.0
        self.unanswered = 0


class Downloads:
    """Fetches URLs into a store, politely and all the same fast."""

    def __init__(self, store: DownloadStore, http: Http) -> None:
        self._store = store
        self._http = http
        self._hosts: dict[str, _Host] = defaultdict(lambda: _Host(http.per_host))
        self._local = threading.local()
        self._running: dict[Wire, Deadline] = {}
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def fetch_all(self, urls: Iterable[str]) -> Iterator[tuple[str, Fetched]]:
        """Yield each URL with how it ended, in the order in which they end.

        Args:
            urls: different ones, as `clean_url` gives them.
        """
        waiting: dict[str, deque[str]] = defaultdict(deque)
        for url in urls:
            waiting[_host_name(url)].append(url)
        busy: dict[str, int] = defaultdict(int)
        ended: queue.SimpleQueue[tuple[str, Fetched | BaseException]] = queue.SimpleQueue()

        def work(url: str) -> None:
            try:
                ended.put((url, self._fetch(url)))
            except BaseException as error:  # a defect of ours: the caller's thread raises it
                ended.put((url, error))

        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        pool = ThreadPoolExecutor(max_workers=self._http.workers)
        try:
            while any(waiting.values()) or any(busy.values()):
                for host in list(waiting):
                    while (
                        waiting[host]
                        and busy[host] < self._http.per_host
                        and sum(busy.values()) < self._http.workers
                    ):
                        busy[host] += 1
                        pool.submit(work, waiting[host].popleft())
                    if waiting[host]:  # whoever had its turn goes to the end of the row
                        waiting[host] = waiting.pop(host)
                    else:
                        del waiting[host]
                url, outcome = ended.get()
                busy[_host_name(url)] -= 1
                if isinstance(outcome, BaseException):
                    raise outcome
                yield url, outcome
        finally:
            self._stop.set()
            for wire in list(self._running):
                wire.cut()
            pool.shutdown(cancel_futures=True)
            watch.join()
            for session in self._sessions:
                session.close()

    def _fetch(self, url: str) -> Fetched:
        known = self._store.get(url)
        if known is not None and known.refresh == self._http.refresh:
            return Fetched(known, None)
        host = self._host(url)
        if host.unanswered >= GIVE_UP_AFTER:
            return Fetched(known, FetchError("host_down", f"no answer to {GIVE_UP_AFTER} others"))
        session, wire = self._session()
        while (wait := host.resume_at - time.monotonic()) > 0 and not self._stop.wait(wait):
            pass
        deadline = Deadline(self._http.deadline)
        with self._lock:
            self._running[wire] = deadline
        try:
            entry = fetch(
                url,
                session=session,
                store=self._store,
                http=self._http,
                deadline=deadline,
                slot=lambda asked: self._slot(asked, deadline),
                pause=self._stop.wait,
                known=known,
            )
            return Fetched(entry, None)
        except FetchError as error:
            if error.reason in UNANSWERED:
                host.unanswered += 1
            return Fetched(known, error)
        finally:
            with self._lock:
                del self._running[wire]

    @contextmanager
    def _slot(self, url: str, deadline: Deadline) -> Iterator[None]:
        """Wait until the URL's host may be asked once more, and note how it answers."""
        if self._stop.is_set():
            raise FetchError("stopped")
        host = self._host(url)
        if not host.slots.acquire(timeout=max(deadline.left, 0)):
            deadline.check()
            raise FetchError("deadline", "its host was busy")
        try:
            yield
            host.unanswered = 0
        except FetchError as error:
            if error.retry_after is not None and error.retry_after < self._http.deadline:
                host.resume_at = max(host.resume_at, time.monotonic() + error.retry_after)
            if error.reason not in UNANSWERED:
                host.unanswered = 0
            raise
        finally:
            host.slots.release()

    def _host(self, url: str) -> _Host:
        with self._lock:
            return self._hosts[_host_name(url)]

    def _session(self) -> tuple[requests.Session, Wire]:
        """This thread's session: sessions are not made to be shared."""
        if not hasattr(self._local, "session"):
            wire = Wire(allow_private=self._http.allow_private)
            session = new_session(wire, user_agent=self._http.user_agent)
            self._local.session = session, wire
            with self._lock:
                self._sessions.append(session)
        found: tuple[requests.Session, Wire] = self._local.session
        return found

    def _watch(self) -> None:
        """Cut the connections of every fetch whose time is up, whatever it is waiting for."""
        while not self._stop.wait(TICK):
            with self._lock:
                late = [wire for wire, deadline in self._running.items() if deadline.left <= 0]
            for wire in late:
                wire.cut()


def _host_name(url: str) -> str:
    return urlsplit(url).netloc.lower()
