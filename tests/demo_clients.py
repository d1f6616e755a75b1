"""`python tests/demo_clients.py URL --clients 10 --seconds 60`: many at once on a running demo.

Each client paints one prompt after the other, at random also a hostile one, and counts what came
back. A request that the queue turns away is told apart from a failure.
"""

from __future__ import annotations

import argparse
import random
import statistics
import threading
import time
from collections import Counter

PROMPTS = ("Blue ship in a storm at night", "Three yellow birds perched at dawn", "A red fish")
HOSTILE = ("x" * 10_000, "\x00\x1b", "red " * 400)


def paint(url: str, until: float, seed: int, counts: Counter[str], waits: list[float]) -> None:
    """One client's life."""
    from gradio_client import Client

    chance = random.Random(seed)
    client = Client(url, verbose=False, analytics_enabled=False)
    while time.monotonic() < until:
        hostile = chance.random() < 0.1
        prompt = chance.choice(HOSTILE if hostile else PROMPTS)
        begun = time.monotonic()
        try:
            shown = client.predict(prompt, 1, seed, 2.0, 0.8, api_name="/paint")[0]
            counts["painted" if shown and not hostile else "wrong"] += 1
            waits.append(time.monotonic() - begun)
        except Exception as error:
            line = str(error)
            busy = "queue" in line.lower()
            counts["refused" if hostile else "busy" if busy else f"failed: {line[:80]}"] += 1


def main() -> None:
    """Let them all at it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    waits: list[float] = []
    until = time.monotonic() + given.seconds
    clients = [
        threading.Thread(target=paint, args=(given.url, until, seed, counts, waits))
        for seed in range(given.clients)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    print(dict(counts))
    if waits:
        ordered = sorted(waits)
        print(
            f"seconds to a picture: median {statistics.median(ordered):.2f}, "
            f"95 % {ordered[int(0.95 * (len(ordered) - 1))]:.2f}, most {ordered[-1]:.2f}"
        )


if __name__ == "__main__":
    main()
