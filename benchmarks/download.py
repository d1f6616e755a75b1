"""How much faster is a polite pool of threads than one picture after the other?

    python -m benchmarks.download [--json results.json]

It fetches 1,000 pictures from a server of its own that answers after 50 ms: first one at a time,
then with the pool, side by side in one run, over the very code of the `download` stage. Four host
names (addresses of the loopback network) stand for four museums, so that the limit for each host is
kept.
"""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import report
from pipeline.download.downloads import Downloads
from pipeline.download.settings import Http
from pipeline.download.store import DownloadStore

PICTURES = 1000
LATENCY = 0.050  # seconds
HOSTS = [f"127.0.0.{n}" for n in range(1, 5)]

POOL = Http(
    user_agent="codebrush-benchmark",
    connect_timeout=10.0,
    read_timeout=20.0,
    deadline=60.0,
    per_host=8,
    workers=32,
    retries=4,
    max_bytes=50_000_000,
    allow_private=True,
    refresh=0,
)
ONE_AT_A_TIME = POOL.model_copy(update={"per_host": 1, "workers": 1})


def serve(ready: Connection) -> None:
    """Answer every request with a picture of its own, 50 ms after it came."""
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG", quality=80)
    picture = stream.getvalue()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(LATENCY)
                body = picture + request.split(b" ", 2)[1]  # what follows a JPEG's end is ignored
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(visit, HOSTS[0], 0, backlog=128)
        port = server.sockets[0].getsockname()[1]
        for host in HOSTS[1:]:
            await asyncio.start_server(visit, host, port, backlog=128)
        ready.send(port)
        await server.serve_forever()

    asyncio.run(run())


def seconds_to_fetch(urls: list[str], http: Http) -> float:
    """Time to fetch all URLs into an empty store."""
    with (
        tempfile.TemporaryDirectory() as folder,
        DownloadStore.open(Path(folder)) as store,
    ):
        start = time.perf_counter()
        ends = list(Downloads(store, http).fetch_all(urls))
        took = time.perf_counter() - start
    lost = [end.error for _, end in ends if end.entry is None]
    if lost:
        raise RuntimeError(f"{len(lost)} of {len(urls)} pictures were lost: {lost[0]}")
    return took


def main() -> None:
    """Run both ways."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    urls = [f"http://{HOSTS[n % len(HOSTS)]}:{port}/{n}.jpg" for n in range(PICTURES)]
    try:
        one_by_one = seconds_to_fetch(urls, ONE_AT_A_TIME)
        pooled = seconds_to_fetch(urls, POOL)
    finally:
        server.terminate()
        server.join()
    report(
        [
            {
                "way": way,
                "seconds": seconds,
                "pictures per second": PICTURES / seconds,
                "times as fast": one_by_one / seconds,
            }
            for way, seconds in (
                ("one after the other", one_by_one),
                (f"{POOL.workers} threads, {POOL.per_host} a host", pooled),
            )
        ]
    )


if __name__ == "__main__":
    main()
