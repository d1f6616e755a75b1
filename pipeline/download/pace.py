"""How often a host is asked: as often as it answers, and slower as soon as it asks for patience."""

from __future__ import annotations

import threading
import time

# What a host says to whom it finds too quick (RFC 6585, RFC 9110).
PATIENCE = (429, 503)
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 20.0  # seconds, after a refusal that names no time; doubled
# What a refusal makes of the time between two requests: what was measured, within these factors.
SLOWER, MOST_AT_ONCE = 1.25, 2.0
# What an answer makes of it: much, but little near the time at which the host refuses.
FASTER, FASTER_NEAR = 0.8, 0.995
NEAR = 0.9, 1.06
HURRY = 0.005  # seconds between requests below which they are not held back any more


class Pace:
    """When one host may be asked next; for several threads.

    Attributes:
        answers: how many requests were answered, with whatever but a refusal.
    """

    def __init__(self) -> None:
        self.answers = 0
        self._interval = 0.0  # seconds between two requests
        self._refused_at = 0.0  # the interval at the last refusal
        self._too_short = 0.0  # the interval at which the host refuses; 0: not known
        self._next_at = 0.0  # of the monotonic clock
        self._pause = FIRST_PAUSE
        self._refused_last = 0.0  # when
        self._counted = 0  # answers since then
        self._lock = threading.Lock()

    @property
    def wait(self) -> float:
        """Seconds until the next request may start; 0 for now."""
        return max(0.0, self._next_at - time.monotonic())

    def take(self) -> float:
        """Claim the next request; returns the seconds until it may start."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next_at)
            self._next_at = start + self._interval
            return start - now

    def answered(self) -> None:
        """A request was answered."""
        with self._lock:
            self.answers += 1
            self._counted += 1
            self._pause = FIRST_PAUSE
            low, high = (self._too_short * factor for factor in NEAR)
            if low <= self._interval <= high:
                self._interval *= FASTER_NEAR
            elif self._interval > high:
                self._interval = max(self._interval * FASTER, high)
            else:
                self._interval *= FASTER
            if self._interval < HURRY:
                self._interval = 0.0

    def refused(self, started: float, retry_after: float | None) -> None:
        """A request was refused with 429 or 503.

        Args:
            started: when it was sent, of the monotonic clock; those that were on their way when the
                pace was last slowed say nothing of the new one.
            retry_after: the seconds that the host asked to wait.
        """
        with self._lock:
            now = time.monotonic()
            pause = self._pause if retry_after is None else retry_after
            if started >= self._refused_last:
                self._slow_down(now)
            self._next_at = max(self._next_at, now + pause)

    def _slow_down(self, now: float) -> None:
        """Take from the answers since the last refusal how often the host may be asked."""
        if self._refused_last:  # once may be that picture's own trouble
            measured = (now - self._refused_last) / max(self._counted, 1)
            if self._interval:
                least, most = SLOWER * self._interval, MOST_AT_ONCE * self._interval
                measured = min(max(measured, least), most)
            alike = 0.7 * self._refused_at <= self._interval <= 1.4 * self._refused_at
            self._too_short = self._interval if alike else 0.0
            self._refused_at, self._interval = self._interval, measured
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._refused_last, self._counted = now, 0
