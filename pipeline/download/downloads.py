"""Many URLs at once: a bounded pool of threads, a pace for each host, a clock over every fetch.

A host that refuses a picture for haste (429, 503) is asked more slowly, for all of its pictures.
The picture waits in the queue, without a thread, until the host may be asked again; it loses no try
by that, and only if its time runs out is it lost. Other hosts go on meanwhile.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from pipeline.download.addresses import Wire, new_session
from pipeline.download.fetch import Deadline, FetchError, fetch
from pipeline.download.pace import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE, Pace
from pipeline.download.settings import Http
from pipeline.download.store import DownloadStore, Entry

# A host that gives no answer for this many pictures in a row is down: 2,000 time-outs of 20 seconds
# each would take hours. Its other pictures are reported lost; the next run asks for them again.
GIVE_UP_AFTER = 24
UNANSWERED = ("unknown_host", "no_connection", "timeout")
# A host that asks so many in a row to come back when their time will be over is left in peace.
CLOSED_AFTER = 6
TICK = 0.05  # seconds between two looks of the clock
LONGEST_SLEEP = 60.0  # seconds; whatever ends wakes the queue


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
        self.pace = Pace()
        self.unanswered = 0
        self.closed = 0  # refusals in a row that asked for more time than a picture has


@dataclass(slots=True)
class _Visit:
    """A picture's way through the queue.

    Attributes:
        deadline: counted from its first request; None before.
        not_before: of the monotonic clock; before that it is not asked again.
        refusals: how often the host asked for patience; `status` is the last one's.
        answers: how many others the host had answered at the last refusal.
        claimed: its next request was claimed from its host's pace.
    """

    url: str
    deadline: Deadline | None = None
    not_before: float = 0.0
    refusals: int = 0
    status: int | None = None
    answers: int = 0
    claimed: bool = False


class _Queue:
    """The pictures of one host that wait: those never asked for, and those to be asked again."""

    def __init__(self) -> None:
        self.fresh: deque[_Visit] = deque()
        self.again: list[_Visit] = []

    def __bool__(self) -> bool:
        return bool(self.fresh or self.again)

    def take(self) -> _Visit | float:
        """The next picture, or in how many seconds there is one: first whose time is shortest."""
        now = time.monotonic()
        ready = [v for v in self.again if v.not_before <= now]
        if ready:
            first = min(ready, key=lambda v: v.deadline.end if v.deadline else now)
            self.again.remove(first)
            return first
        if self.fresh:
            return self.fresh.popleft()
        return min(v.not_before for v in self.again) - now


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
        waiting: dict[str, _Queue] = defaultdict(_Queue)
        for url in urls:
            waiting[_host_name(url)].fresh.append(_Visit(url))
        busy: Counter[str] = Counter()
        ended: queue.SimpleQueue[tuple[_Visit, Fetched | BaseException | None]]
        ended = queue.SimpleQueue()

        def work(visit: _Visit) -> None:
            try:
                ended.put((visit, self._fetch(visit)))
            except BaseException as error:  # a defect of ours: the caller's thread raises it
                ended.put((visit, error))

        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        pool = ThreadPoolExecutor(max_workers=self._http.workers)
        try:
            while any(waiting.values()) or busy.total():
                wake = LONGEST_SLEEP
                for host in list(waiting):
                    while busy[host] < self._http.per_host and busy.total() < self._http.workers:
                        found = self._next(host, waiting[host])
                        if not isinstance(found, _Visit):
                            wake = min(wake, found)
                            break
                        busy[host] += 1
                        pool.submit(work, found)
                    waiting[host] = waiting.pop(host)  # whoever had its turn goes to the end
                try:
                    visit, outcome = ended.get(timeout=max(wake, 0.001))
                except queue.Empty:
                    continue
                host = _host_name(visit.url)
                busy[host] -= 1
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is None:
                    waiting[host].again.append(visit)
                else:
                    yield visit.url, outcome
        finally:
            self._stop.set()
            for wire in list(self._running):
                wire.cut()
            pool.shutdown(cancel_futures=True)
            watch.join()
            for session in self._sessions:
                session.close()

    def _next(self, host: str, pictures: _Queue) -> _Visit | float:
        """A host's next picture, its request claimed; or the seconds until there may be one."""
        if not pictures:
            return LONGEST_SLEEP
        pace = self._host(host).pace
        # What an earlier run brought is not asked for, so no pace holds it back.
        known = bool(pictures.fresh) and self._is_known(pictures.fresh[0].url)
        if not known and (wait := pace.wait) > 0:
            return wait
        found = pictures.fresh.popleft() if known else pictures.take()
        if isinstance(found, _Visit) and not known:
            pace.take()
            found.claimed = True
        return found

    def _is_known(self, url: str) -> bool:
        return self._store.refresh_of(url) == self._http.refresh

    def _fetch(self, visit: _Visit) -> Fetched | None:
        """Ask for a picture; None if its host wants it to be asked for later."""
        known = self._store.get(visit.url)
        if known is not None and known.refresh == self._http.refresh:
            return Fetched(known, None)
        host = self._host(_host_name(visit.url))
        if host.unanswered >= GIVE_UP_AFTER:
            return Fetched(known, FetchError("host_down", f"no answer to {GIVE_UP_AFTER} others"))
        if host.closed >= CLOSED_AFTER:
            return Fetched(known, self._rate_limited(None))
        session, wire = self._session()
        if visit.deadline is None:
            visit.deadline = Deadline(self._http.deadline)
        deadline = visit.deadline
        with self._lock:
            self._running[wire] = deadline
        try:
            entry = fetch(
                visit.url,
                session=session,
                store=self._store,
                http=self._http,
                deadline=deadline,
                slot=lambda asked: self._slot(asked, visit),
                pause=self._stop.wait,
                known=known,
            )
            return Fetched(entry, None)
        except FetchError as error:
            if error.status in PATIENCE and visit.not_before < deadline.end:
                return None
            if error.status in PATIENCE or (visit.refusals and error.status is None):
                return Fetched(known, self._rate_limited(visit.status))
            if error.reason in UNANSWERED:
                host.unanswered += 1
            return Fetched(known, error)
        finally:
            with self._lock:
                del self._running[wire]

    def _rate_limited(self, status: int | None) -> FetchError:
        return FetchError(
            "rate_limited",
            f"its host asks for more patience than data.http.deadline = {self._http.deadline:g} s: "
            "raise that, or run again later; what is here is not asked for again",
            status=status,
        )

    @contextmanager
    def _slot(self, url: str, visit: _Visit) -> Iterator[None]:
        """Wait until the URL's host may be asked once more, and note how it answers."""
        if self._stop.is_set():
            raise FetchError("stopped")
        host, deadline = self._host(_host_name(url)), visit.deadline
        assert deadline is not None, "it runs from the first request on"
        if visit.claimed:
            visit.claimed = False
        elif (wait := host.pace.take()) > 0:  # a redirect, or another try
            deadline.end += wait  # its turn has not come yet
            if self._stop.wait(wait):
                raise FetchError("stopped")
        if not host.slots.acquire(timeout=max(deadline.left, 0)):
            deadline.check()
            raise FetchError("deadline", "its host was busy")
        started = time.monotonic()
        try:
            yield
            host.unanswered = host.closed = 0
            host.pace.answered()
        except FetchError as error:
            if error.status in PATIENCE:
                self._refused(host, visit, error, started)
            elif error.reason not in UNANSWERED:
                host.unanswered = host.closed = 0
                host.pace.answered()
            raise
        finally:
            host.slots.release()

    def _refused(self, host: _Host, visit: _Visit, error: FetchError, started: float) -> None:
        """Slow the host down, and say when this picture may be asked for again."""
        wait, now = error.retry_after, time.monotonic()
        own = visit.refusals > 0 and host.pace.answers > visit.answers
        visit.refusals, visit.status = visit.refusals + 1, error.status
        visit.answers = host.pace.answers
        if wait is not None and wait >= self._http.deadline:
            host.closed += 1
            visit.not_before = now + wait  # more than it has
        elif error.status == 503 and wait is None and own:
            # The host lets others through: this picture is out of order, not the pace.
            visit.not_before = now + min(FIRST_PAUSE * 2**visit.refusals, LONGEST_PAUSE)
        else:
            host.pace.refused(started, wait)
            visit.not_before = now + host.pace.wait

    def _host(self, name: str) -> _Host:
        with self._lock:
            return self._hosts[name]

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
