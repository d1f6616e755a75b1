"""Two processes and one folder of downloads: the second waits, unless the first was killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tiny import ENVIRONMENT, ROOT

from pipeline.download.store import DownloadStore

HOLD = """
import sys, time
from pathlib import Path
from pipeline.download.store import DownloadStore

with DownloadStore.open(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(float(sys.argv[2]))
print("out", flush=True)
"""


def hold(folder: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(seconds)],
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_who_comes_second_says_that_it_waits_and_then_goes_on(tmp_path: Path) -> None:
    first = hold(tmp_path, 3)
    assert line(first) == "in"
    second = hold(tmp_path, 0)
    assert second.stderr is not None
    said = second.stderr.readline()
    assert said == f"{tmp_path}: another process is downloading; waiting until it has ended\n"
    assert first.poll() is None
    out, more = second.communicate(timeout=60)
    assert (out.split(), more) == (["in", "out"], "")
    assert first.wait(timeout=60) == 0


def test_a_killed_process_holds_nobody_up(tmp_path: Path) -> None:
    first = hold(tmp_path, 60)
    assert line(first) == "in"
    second = hold(tmp_path, 0)
    assert second.stderr is not None
    assert "waiting" in second.stderr.readline()
    first.kill()
    first.wait()
    assert second.wait(timeout=30) == 0
    started = time.monotonic()
    with DownloadStore.open(tmp_path):
        assert time.monotonic() - started < 5
