"""Near-duplicates by bands and sketches: cost and memory a picture, and what comparing all finds.

    python -m benchmarks.near_duplicates [--json results.json]

Pictures are random fields with the spectrum of photographs; one in fifty is a crop of another, by
up to a tenth of each side, brighter or darker. Each size has a process of its own, so that its peak
of memory is its own.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
from PIL import Image
from scipy.fft import dct

from benchmarks.measure import peak_memory, report
from pipeline.download import registration
from pipeline.download.bands import near_groups
from pipeline.download.windows import SIDE, among_all, by_sketches

SIZES = (20_000, 200_000)
PAINTED = 80  # pixels a side, before they are squeezed into a thumbnail
CROPS = 50  # one in so many pictures is a crop of the one before
DISTANCE = 16


def thumbnails(count: int) -> np.ndarray:
    """Random fields whose amplitudes fall with frequency, and crops of some: uint8 (count, …)."""
    generator = np.random.default_rng(0)
    across = np.fft.rfftfreq(PAINTED) * PAINTED
    down = np.fft.fftfreq(PAINTED)[:, None] * PAINTED
    fall = 1 / np.maximum(np.hypot(down, across), 1) ** 1.5
    made = np.empty((count, SIDE, SIDE), dtype=np.uint8)
    field = np.zeros((PAINTED, PAINTED))
    for number in range(count):
        box = (0.0, 0.0, float(PAINTED), float(PAINTED))
        if number % CROPS == CROPS - 1:
            left, top, right, bottom = generator.uniform(0, PAINTED / 10, 4)
            box = (left, top, PAINTED - right, PAINTED - bottom)
            field = field * generator.uniform(0.85, 1.15)
        else:
            noise = generator.standard_normal((PAINTED, len(across), 2)) @ [1, 1j]
            field = np.fft.irfft2(noise * fall, (PAINTED, PAINTED))
            field *= 50 / field.std()
        grey = Image.fromarray(np.clip(field + 128, 0, 255).astype(np.uint8))
        made[number] = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box))
    return made


def hashes(made: np.ndarray) -> np.ndarray:
    """`imagehash.phash` of thumbnails: uint64 (N, 4)."""
    found = []
    for part in np.array_split(made, -(-len(made) // 1000)):
        low = dct(dct(part.astype(float), axis=1), axis=2)[:, :16, :16].reshape(len(part), -1)
        found.append(np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1))
    return np.concatenate(found).view(np.uint64)


def measured(count: int, *, against_all: bool) -> list[dict[str, Any]]:
    """Both searches among so many pictures, and the sketches beside comparing all with all."""
    made = thumbnails(count)
    signs = hashes(made)
    before = peak_memory()
    rows = []
    ties: list[set[tuple[int, int]]] = []

    def timed(what: str, run: Callable[[], np.ndarray]) -> np.ndarray:
        start = time.perf_counter(), time.process_time()
        found = run()
        seconds, busy = time.perf_counter() - start[0], time.process_time() - start[1]
        grown = peak_memory() - before
        rows.append(
            {
                "pictures": count,
                "what": what,
                "µs a picture": 1e6 * seconds / count,
                "of a core": 1e6 * busy / count,
                "peak KiB a picture": grown * 2**20 / count,
            }
        )
        return found

    timed("hashes, by bands", lambda: near_groups(signs, DISTANCE))
    searches = {"crops, by sketches": by_sketches}
    if against_all:
        searches["crops, by comparing all"] = among_all
    for what, search in searches.items():
        registration.candidates = search  # type: ignore[attr-defined]
        found = timed(what, lambda: registration.aligned_pairs(made, Path(gettempdir())))
        ties.append({(min(a, b), max(a, b)) for a, b in found.tolist()})
        planted = {(n - 1, n) for n in range(CROPS - 1, count, CROPS)}
        rows[-1]["crops found"] = len(planted & ties[-1]) / len(planted)
    if against_all:
        rows[1]["of all ties"] = len(ties[0] & ties[1]) / len(ties[1])
    return rows


def main() -> None:
    """Run every size in a fresh process."""
    rows = []
    fresh = multiprocessing.get_context("spawn")
    for count in SIZES:
        with ProcessPoolExecutor(1, mp_context=fresh) as pool:
            run = partial(measured, count, against_all=count == SIZES[0])
            rows += pool.submit(run).result()
    report(rows)


if __name__ == "__main__":
    main()
