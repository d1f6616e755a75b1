"""Timing, the machine's limits, and a report as a table and JSON."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F


def best_seconds(run: Callable[[], object], *, repeats: int) -> float:
    """The shortest of several runs, after one that does not count: others' load only adds."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def interleaved_seconds(*runs: Callable[[], object], repeats: int) -> list[float]:
    """`best_seconds` of several things in turns, so that each meets the same load."""
    best = [float("inf")] * len(runs)
    for repeat in range(repeats + 1):
        for number, run in enumerate(runs):
            start = time.perf_counter()
            run()
            if repeat > 0:
                best[number] = min(best[number], time.perf_counter() - start)
    return best


def has_bf16() -> bool:
    """Whether bfloat16 is worth timing: without AVX-512 it is emulated, and takes minutes."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512"


def peak_memory() -> float:
    """The most memory that this process has had, in GiB."""
    if sys.platform == "win32":
        raise SystemExit("this benchmark asks for the largest memory so far; Windows does not say")
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**30 if sys.platform == "darwin" else 2**20)  # a Mac says it in bytes


def machine() -> dict[str, Any]:
    """What ran it, and what it can do: products and convolutions in GFLOP/s, copies in GB/s."""
    n, values = 1536, 1 << 25
    a, b = torch.randn(n, n), torch.randn(n, n)
    image = torch.randn(8, 256, 32, 32).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3).contiguous(memory_format=torch.channels_last)
    source, target = torch.randn(values), torch.empty(values)
    half = a.bfloat16(), b.bfloat16()
    runs = [lambda: a @ b, lambda: F.conv2d(image, weight), lambda: target.copy_(source)]
    runs += [lambda: half[0] @ half[1]] if has_bf16() else []
    product, convolution, copy, *rough = interleaved_seconds(*runs, repeats=5)
    about = {
        "processor": processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "product GFLOP/s": round(2 * n**3 / product / 1e9, 1),
        "convolution GFLOP/s": round(2 * 8 * 30**2 * 9 * 256**2 / convolution / 1e9, 1),
        "copy GB/s": round(2 * 4 * values / copy / 1e9, 1),
    }
    if rough:
        about["bf16 product GFLOP/s"] = round(2 * n**3 / rough[0] / 1e9, 1)
    return about


def processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0].split(":")[1].strip() if names else platform.processor()


def report(rows: Sequence[dict[str, Any]]) -> None:
    """Print `rows` as a table under the machine; `--json PATH` keeps them too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, help="write the figures here too")
    path = parser.parse_args().json
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = [columns, *([_cell(row.get(key, "")) for key in columns] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
    if path is not None:
        path.write_text(json.dumps({"machine": about, "results": list(rows)}, indent=2) + "\n")


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
