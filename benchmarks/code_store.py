"""The code store against pickled 64-bit rows in LMDB, the well-known scripts' way.

python -m benchmarks.code_store [--json results.json]
"""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import lmdb
import numpy as np

from benchmarks.measure import interleaved_seconds, report
from pipeline.codes import CodeStore
from pipeline.codes.store import Record

T = TypeVar("T")
SHAPE, N_EMBED, RECORDS, MANY, BATCH = (16, 16), 512, 100_000, 1_000_000, 256


class Row(NamedTuple):
    """What the scripts pickle for a picture."""

    codes: np.ndarray
    filename: str


def records(count: int) -> Iterator[Record]:
    """Random grids as a model gives them, 64-bit, each with a name."""
    grids = np.random.default_rng(0).integers(N_EMBED, size=(1000, *SHAPE))
    return (Record(grids[row % 1000], f"image_{row:07d}.jpg", row) for row in range(count))


def write_pickled(path: Path, count: int) -> None:
    env = lmdb.open(str(path), map_size=1 << 40, subdir=False)
    with env, env.begin(write=True) as transaction:
        for number, record in enumerate(records(count)):
            row = Row(record.codes, record.filename)
            transaction.put(str(number).encode(), pickle.dumps(row))
        transaction.put(b"length", str(count).encode())


def read_pickled(env: lmdb.Environment, row: int) -> Row:
    with env.begin(write=False) as transaction:
        return pickle.loads(transaction.get(str(row).encode()))  # type: ignore[arg-type]


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def own_memory() -> float:
    """MiB that are this process's own; pages of mapped files are the system's to take back."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


def watched(records: Iterator[T], every: int, seen: list[float]) -> Iterator[T]:
    """The records, noting in `seen` the memory at each so many of them."""
    for number, record in enumerate(records):
        if number % every == 0:
            seen.append(own_memory())
        yield record


def million(path: Path) -> dict[str, Any]:
    """A million records: rates, opening from the disk and from memory, how far memory grew."""
    memory: list[float] = []
    source = watched(records(MANY), MANY // 100, memory)
    writing = seconds(lambda: CodeStore.write(path, source, shape=SHAPE, n_embed=N_EMBED))
    # LMDB's copy goes past the page cache, so the first opening sums the file from the disk.
    first, opening = (seconds(lambda: CodeStore.open(path).close()) for _ in range(2))
    rows = np.random.default_rng(1).integers(MANY, size=(400, BATCH)).tolist()
    with CodeStore.open(path) as store:
        reading = seconds(lambda: [store.batch(batch) for batch in rows])
    return {
        "what": "a million records",
        "bytes a record": path.stat().st_size / MANY,
        "writes/s": MANY / writing,
        "reads/s, in batches": 400 * BATCH / reading,
        "opening (summing it up), ms": opening * 1e3,
        "… from the disk": first * 1e3,
        # The first two chunks fill what is used again for all that follow.
        "writing grew memory by, MiB": max(memory) - memory[2],
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours", Path(folder) / "theirs"

        def write_theirs() -> None:
            theirs.unlink(missing_ok=True)
            write_pickled(theirs, RECORDS)

        written = interleaved_seconds(
            lambda: CodeStore.write(ours, records(RECORDS), shape=SHAPE, n_embed=N_EMBED),
            write_theirs,
            repeats=3,
        )
        rows = np.random.default_rng(1).permutation(RECORDS).tolist()
        batches = [rows[i : i + BATCH] for i in range(0, RECORDS, BATCH)]
        env = lmdb.open(str(theirs), subdir=False, readonly=True, lock=False, readahead=False)
        with CodeStore.open(ours) as store, env:
            for row in rows[:100]:  # both give the same
                codes, name = store[row]
                wanted = read_pickled(env, row)
                if not np.array_equal(codes, wanted.codes) or name != wanted.filename:
                    raise AssertionError(f"row {row} differs")
            read = interleaved_seconds(
                lambda: [store.batch(batch) for batch in batches],
                lambda: [store[row] for row in rows],
                lambda: [
                    np.stack([read_pickled(env, row).codes for row in batch]) for batch in batches
                ],
                repeats=3,
            )
        results: list[dict[str, Any]] = [
            {
                "what": "ours",
                "bytes a record": ours.stat().st_size / RECORDS,
                "writes/s": RECORDS / written[0],
                "reads/s, in batches": RECORDS / read[0],
                "reads/s, one by one": RECORDS / read[1],
            },
            {
                "what": "pickled",
                "bytes a record": theirs.stat().st_size / RECORDS,
                "writes/s": RECORDS / written[1],
                "reads/s, in batches": RECORDS / read[2],
            },
        ]
        results.append({"what": "ours to pickled"})
        for key in list(results[1])[1:]:
            results[2][key] = results[0][key] / results[1][key]
        results.append(million(Path(folder) / "million"))
    report(results)


if __name__ == "__main__":
    main()
