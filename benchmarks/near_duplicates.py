"""Near-duplicates by bands and sketches: cost a picture, and how much of what comparing all finds.

    python -m benchmarks.near_duplicates [--json results.json]

Pictures are random fields with the spectrum of photographs; one in fifty is a crop of another, by
up to a tenth of each side, brighter or darker; one in fifty another scan, a little shifted, of
another tone and grain; one in fifty a copy that was compressed. Each size has a process of its own,
so that its peak of memory is its own.
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
from pipeline.download.bands import bits_apart, connected, near_groups
from pipeline.download.windows import SIDE, among_all, by_sketches

SIZES = (20_000, 60_000)  # at the first, all are compared with all as well
PAINTED = 80  # pixels a side, before they are squeezed into a thumbnail
EVERY = 50  # one in so many pictures is a crop of the one before, one a scan, one a copy
PLANTED = {"crops": EVERY - 1, "scans": EVERY - 11, "copies": EVERY - 21}  # at which places
DISTANCE = 16
AT_A_TIME = 500


def thumbnails(count: int) -> np.ndarray:
    """Random fields whose amplitudes fall with frequency, and kin of some: uint8 (count, …)."""
    generator = np.random.default_rng(0)
    across = np.fft.rfftfreq(PAINTED) * PAINTED
    down = np.fft.fftfreq(PAINTED)[:, None] * PAINTED
    fall = 1 / np.maximum(np.hypot(down, across), 1) ** 1.5
    made = np.empty((count, SIDE, SIDE), dtype=np.uint8)
    field = np.zeros((PAINTED, PAINTED))
    for number in range(count):
        left = top = right = bottom = 0.0
        shown = field
        match number % EVERY:
            case place if place == PLANTED["crops"]:
                left, top, right, bottom = generator.uniform(0, PAINTED / 10, 4)
                shown = field * generator.uniform(0.85, 1.15)
            case place if place == PLANTED["scans"]:
                left, top, right, bottom = generator.uniform(0, PAINTED / 50, 4)
                shown = field * generator.uniform(0.7, 1.3) + generator.uniform(-20, 20)
                shown = shown + generator.standard_normal(field.shape) * 4
            case place if place == PLANTED["copies"]:
                shown = field + generator.standard_normal(field.shape) * 2
            case _:
                noise = generator.standard_normal((PAINTED, len(across), 2)) @ [1, 1j]
                field = np.fft.irfft2(noise * fall, (PAINTED, PAINTED))
                field *= 50 / field.std()
                shown = field
        box = (left, top, PAINTED - right, PAINTED - bottom)
        grey = Image.fromarray(np.clip(shown + 128, 0, 255).astype(np.uint8))
        made[number] = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box))
    return made


def hashes(made: np.ndarray) -> np.ndarray:
    """`imagehash.phash` of thumbnails: uint64 (N, 4)."""
    found = []
    for part in np.array_split(made, -(-len(made) // 1000)):
        low = dct(dct(part.astype(float), axis=1), axis=2)[:, :16, :16].reshape(len(part), -1)
        found.append(np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1))
    return np.concatenate(found).view(np.uint64)


def all_near_groups(signs: np.ndarray) -> np.ndarray:
    """`near_groups` by comparing every hash with every other."""
    ties = [np.stack([np.arange(len(signs))] * 2, axis=1)]
    for start in range(0, len(signs), AT_A_TIME):
        gaps = bits_apart(signs[start : start + AT_A_TIME, None], signs)
        ties.append(np.argwhere(gaps <= DISTANCE) + np.array([start, 0]))
    return connected(len(signs), np.concatenate(ties))


def tied_in(groups: np.ndarray) -> set[tuple[int, int]]:
    """Of each group's members, who is tied to the first."""
    return {(first, row) for row, first in enumerate(groups.tolist()) if first != row}


def measured(count: int, *, against_all: bool) -> list[dict[str, Any]]:
    """Both searches among so many pictures, beside comparing all with all."""
    made = thumbnails(count)
    signs = hashes(made)
    before = peak_memory()
    rows: list[dict[str, Any]] = []
    found: dict[str, set[tuple[int, int]]] = {}

    def aligned(search: Callable[..., Any]) -> set[tuple[int, int]]:
        registration.candidates = search  # type: ignore[attr-defined]
        ties = registration.aligned_pairs(made, Path(gettempdir()))
        return {(min(a, b), max(a, b)) for a, b in ties.tolist()}

    searches = {
        "hashes, by bands": lambda: tied_in(near_groups(signs, DISTANCE, Path(gettempdir()))),
        "details, by sketches": lambda: aligned(by_sketches),
    }
    if against_all:
        searches["hashes, comparing all"] = lambda: tied_in(all_near_groups(signs))
        searches["details, comparing all"] = lambda: aligned(among_all)
    for what, search in searches.items():
        start = time.perf_counter(), time.process_time()
        found[what] = search()
        seconds, busy = time.perf_counter() - start[0], time.process_time() - start[1]
        row: dict[str, Any] = {
            "pictures": count,
            "what": what,
            "µs a picture": round(1e6 * seconds / count),
            "of a core": round(1e6 * busy / count),
            "peak KiB a picture": round((peak_memory() - before) * 2**20 / count, 1),
            "ties": len(found[what]),
        }
        for kind, place in PLANTED.items():
            planted = range(place, count, EVERY)
            kin = {(n - 1, n) for n in planted}
            row[kind] = round(len(kin & found[what]) / len(kin), 4)
        rows.append(row)
    for row in rows if against_all else []:
        every = found[row["what"].split(",")[0] + ", comparing all"]
        row["of all ties"] = round(len(every & found[row["what"]]) / len(every), 5)
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
