"""Training the decoder and the prior side by side, one thread each, or in turn, on two threads.

python -m benchmarks.side_by_side [--json results.json]

Steps are those of the stages' own loop at params.yaml's sizes. Rounds of the two ways take turns,
and each training is timed while the other one is at work; the shortest times count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import report
from pipeline.params import load_section
from stages.layout import FAMILY

PARAMS = Path("params.yaml")
ROUNDS, SECONDS = 3, 20.0


def timed(stages: Sequence[str], *, threads: int) -> dict[str, float]:
    """The seconds of all steps of each stage's training, of `stages` that run at one time."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.side_by_side", stage],
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        for stage in stages
    ]  # fmt: skip
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    found = [process.communicate()[0] for process in started]
    if ended := [str(process.returncode) for process in started if process.returncode]:
        raise SystemExit(f"{', '.join(stages)}: ended with status {', '.join(ended)}")
    return {stage: float(json.loads(says)) for stage, says in zip(stages, found, strict=True)}


def time_steps(stage: str) -> None:
    """Be one of those that run at one time: print the seconds of all steps of a stage."""
    from apps.doctor.speed import training_seconds
    from pipeline.devices import repeat_exactly

    repeat_exactly()
    training_seconds(stage, PARAMS)
    print("ready", flush=True)
    sys.stdin.readline()
    until, found = time.monotonic() + SECONDS, [float("inf")]
    while time.monotonic() < until:
        found.append(training_seconds(stage, PARAMS))
    print(json.dumps(min(found[:-1])), flush=True)  # beside the last the others may have ended


def main() -> None:
    stages = ["train_decoder", f"train_{load_section(PARAMS, 'prior', FAMILY)}"]
    ways: dict[str, list[dict[str, float]]] = {"in turn": [], "side by side": []}
    for _ in range(ROUNDS):
        alone = {stage: timed([stage], threads=2)[stage] for stage in stages}
        ways["in turn"].append(alone)
        ways["side by side"].append(timed(stages, threads=1))
    rows: list[dict[str, Any]] = []
    for way, rounds in ways.items():
        best = {stage: min(each[stage] for each in rounds) for stage in stages}
        took = sum(best.values()) if way == "in turn" else max(best.values())
        rows.append({"way": way, **best, "seconds": took})
        rows[-1]["times as fast"] = rows[0]["seconds"] / took
    report(rows)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("train_"):
        time_steps(sys.argv[1])
    else:
        main()
