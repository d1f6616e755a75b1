"""A map in shares: the same files from any number of processes, whatever becomes of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from tiny import ENVIRONMENT, ROOT

from pipeline import shares as module
from pipeline.errors import UserError
from pipeline.shares import Shares

COUNT = 6
WORKER = """
import sys, time
from pathlib import Path
from pipeline.shares import Shares

def work(number, path):
    with open(log, "a") as stream:
        stream.write(f"{number}\\n")
    if number == stuck:
        print("stuck", flush=True)
        time.sleep(600)
    time.sleep(0.01)
    path.write_bytes(bytes([number]) * 1000)

folder, log, stuck = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
tasks = {f"{n:02d}": lambda path, n=n: work(n, path) for n in range(6)}
Shares(folder, tasks, "shares").help(is_over=lambda: False)
"""


def helper(folder: Path, *, stuck: int = -1) -> subprocess.Popen[str]:
    """A process that helps; it never ends the share `stuck`."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), str(folder.with_suffix(".log")), str(stuck)],
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def here(folder: Path) -> Shares:
    """The same shares in this process."""

    def work(number: int, path: Path) -> None:
        with folder.with_suffix(".log").open("a") as stream:
            stream.write(f"{number}\n")
        path.write_bytes(bytes([number]) * 1000)

    return Shares(folder, {f"{n:02d}": partial(work, n) for n in range(COUNT)}, "shares")


def computed(folder: Path) -> Counter[int]:
    """How often each share was begun."""
    return Counter(map(int, folder.with_suffix(".log").read_text().split()))


def contents(files: list[Path]) -> list[bytes]:
    return [file.read_bytes() for file in files]


WANTED = [bytes([number]) * 1000 for number in range(COUNT)]


@pytest.mark.parametrize("helpers", [0, 1, 2])
def test_each_share_is_computed_once_by_whoever_is_there(tmp_path: Path, helpers: int) -> None:
    folder = tmp_path / "run"
    processes = [helper(folder) for _ in range(helpers)]
    assert contents(here(folder).gather()) == WANTED
    assert all(process.wait(timeout=60) == 0 for process in processes)
    assert computed(folder) == Counter(range(COUNT))


def test_a_killed_process_costs_its_share_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)
    folder = tmp_path / "run"
    process = helper(folder, stuck=2)
    assert process.stdout is not None
    assert process.stdout.readline() == "stuck\n"
    looks = iter(range(3))

    def look(_: float) -> None:
        if next(looks, None) is None:
            process.kill()
            process.wait()

    monkeypatch.setattr(time, "sleep", look)
    assert contents(here(folder).gather()) == WANTED
    assert "shares: waiting for 1 that other processes are at" in capsys.readouterr().err
    assert computed(folder) == Counter(range(COUNT)) + Counter([2])


def test_who_is_started_again_repeats_nothing_that_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shares = here(folder)

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Shares(folder, {**shares.tasks, "03": fail}, "shares").gather()
    assert computed(folder) == Counter(range(3))
    assert contents(shares.gather()) == WANTED
    assert computed(folder) == Counter(range(COUNT))


def test_a_damaged_share_is_named_and_computed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shares = here(folder)
    files = shares.gather()
    for file, change in zip(files, (b"other", b""), strict=False):
        file.write_bytes(change)
    assert contents(shares.gather()) == WANTED
    assert computed(folder) == Counter(range(COUNT)) + Counter([0, 1])
    assert f"{files[1]}: damaged (its checksum differs)" in capsys.readouterr().err


def test_who_helps_leaves_when_all_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    said = iter([False, False, True])
    here(folder).help(is_over=lambda: next(said))
    assert computed(folder).total() == 2


def test_a_share_that_cannot_be_made_is_said_by_who_gathers_them(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def refuse(_: Path) -> None:
        raise UserError("a.png: damaged")

    shares = Shares(folder, {**here(folder).tasks, "03": refuse}, "shares")
    shares.help(is_over=lambda: False)
    assert sorted(computed(folder)) == [0, 1, 2, 4, 5]
    with pytest.raises(UserError, match="a.png: damaged"):
        shares.gather()


def test_who_helps_tries_a_share_that_cannot_be_made_once(tmp_path: Path) -> None:
    tried = []

    def refuse(path: Path) -> None:
        tried.append(path)
        raise UserError("a.png: damaged")

    shares = Shares(tmp_path / "run", {**here(tmp_path / "run").tasks, "03": refuse}, "shares")
    for _ in range(3):
        shares.help(is_over=lambda: False)
    assert len(tried) == 1


def test_who_helps_survives_that_the_folder_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def lose(path: Path) -> None:
        shutil.rmtree(folder)
        (path / "part").touch()

    Shares(folder, {"0": lose}, "shares").help(is_over=lambda: False)
    assert not (folder / "0").exists()


def test_a_file_that_a_share_misses_is_an_error(tmp_path: Path) -> None:
    def read(_: Path) -> None:
        (tmp_path / "nowhere").read_bytes()

    with pytest.raises(FileNotFoundError, match="nowhere"):
        Shares(tmp_path / "run", {"0": read}, "shares").help(is_over=lambda: False)


def test_a_map_of_nothing_is_no_files(tmp_path: Path) -> None:
    nothing = Shares(tmp_path, {}, "shares")
    nothing.help(is_over=lambda: False)
    assert nothing.gather() == []
