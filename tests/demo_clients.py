"""`python tests/demo_clients.py URL --clients 10 --seconds 60`: many at once on a running demo.

Each client paints one prompt after the other, at random also the lower half of what it painted
last, or a hostile prompt or mask, and counts what came back. A request that the queue turns away is
told apart from a failure.
"""

from __future__ import annotations

import argparse
import random
import statistics
import threading
import time
from collections import Counter
from typing import Any

import requests

PROMPTS = ("Blue ship in a storm at night", "Three yellow birds perched at dawn", "A red fish")
HOSTILE = ("x" * 10_000, "\x00\x1b", "red " * 400)
HOSTILE_MASKS = ("", "f" * 99, "\ud83d" * 4096, "f" * 50_000, "0" * 4096)


def open_picture(client: Any, index: Any, prior: str) -> requests.Response:
    """As a click on a picture does, of which the client knows nothing."""
    body = {
        "data": [None, prior],
        "event_data": {"index": index, "value": None},
        "session_hash": client.session_hash,
    }
    return requests.post(f"{client.src.rstrip('/')}/gradio_api/run/open", json=body, timeout=120)


def live(
    url: str, side: int, until: float, seed: int, counts: Counter[str], waits: list[float]
) -> None:
    """One client's life."""
    from gradio_client import Client

    chance = random.Random(seed)
    patient = {"timeout": 120}  # as a browser is, which has no limit of five seconds
    client = Client(url, verbose=False, analytics_enabled=False, httpx_kwargs=patient)
    lower_half = "0" * (side * side // 8) + "f" * (side * side // 8)
    shown, prior = 0, _first_prior(client)
    while time.monotonic() < until:
        hostile, again = chance.random() < 0.1, shown and chance.random() < 0.4
        prompt, mask = chance.choice(PROMPTS), lower_half
        if hostile and again:
            mask = chance.choice(HOSTILE_MASKS)
        elif hostile:
            prompt = chance.choice(HOSTILE)
        begun = time.monotonic()
        try:
            if again:
                open_picture(client, shown - 1, prior).raise_for_status()
                told = client.predict(mask, prompt, 1, seed, api_name="/repaint")
                count = len(told[0]["value"])
                done = "repainted" if count == shown + 1 and not hostile else "wrong"
            else:
                count = len(client.predict(prompt, 1, seed, api_name="/paint")[0]["value"])
                done = "painted" if count == 1 and not hostile else "wrong"
            shown = count
            counts[done] += 1
            waits.append(time.monotonic() - begun)
        except Exception as error:
            line = str(error)
            busy = "queue" in line.lower()
            counts["refused" if hostile else "busy" if busy else f"failed: {line[:80]}"] += 1


def _first_prior(client: Any) -> str:
    parts = client.config["components"]
    return next(part["props"]["value"] for part in parts if part["type"] == "radio")


def main() -> None:
    """Let them all at it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--side", type=int, default=64, help="of the painter's pictures")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    waits: list[float] = []
    until = time.monotonic() + given.seconds
    clients = [
        threading.Thread(target=live, args=(given.url, given.side, until, seed, counts, waits))
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
