"""Stages in shares: who puts them together, who helps, who leaves, by whichever launcher."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from tiny import ENVIRONMENT, ROOT

from pipeline.shares import Shares
from stages import sharing
from stages.places import Place
from stages.runs import held, run_folder

DVC_YAML = """
stages:
  paint:
    cmd: python -m stages paint
    params: [seed]
    deps: [code.py]
    outs: [painted]
"""
STAGE = """
import sys, time
from functools import partial
from pathlib import Path
from stages.sharing import do_in_shares

def paint(number, path):
    print("at", number, flush=True)
    while sys.argv[1] == "hold" and not Path("go").exists():
        time.sleep(0.05)
    path.write_text(str(number))

def put_together(made):
    print("together", flush=True)
    Path("painted").write_text("".join(path.read_text() for path in made))

tasks = {str(number): partial(paint, number) for number in range(3)}
do_in_shares("paint", tasks, label="shares", put_together=put_together)
"""
LAUNCHERS = {
    "RANK", "WORLD_SIZE", "GROUP_WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS",
    "SLURM_ARRAY_TASK_ID", "SKYPILOT_NODE_RANK", "CODEBRUSH_SCRATCH", "CODEBRUSH_HELPER",
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    (tmp_path / "code.py").write_text("one")
    return tmp_path


def start(project: Path, *, hold: bool = False, **told: str) -> subprocess.Popen[str]:
    """A process of the stage; held, it ends no share before there is a file `go`."""
    calm = {key: value for key, value in ENVIRONMENT.items() if key not in LAUNCHERS}
    return subprocess.Popen(
        [sys.executable, "-c", STAGE, "hold" if hold else "go"], cwd=project,
        env={**calm, "PYTHONPATH": str(ROOT), **told}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> list[str]:
    """What a process said on stdout, when it has ended well."""
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out.split("\n")[:-1]


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


EVERYTHING = ["at 0", "at 1", "at 2", "together"]


def test_one_process_does_it_all_and_leaves_no_shares(project: Path) -> None:
    assert ended(start(project)) == EVERYTHING
    assert (project / "painted").read_text() == "012"
    assert not [p for p in (project / ".scratch" / "paint").iterdir() if p.is_dir()]
    assert ended(start(project)) == EVERYTHING  # it was asked for again


def test_a_process_of_the_same_run_helps_and_stays_until_the_outs_are_there(project: Path) -> None:
    first = start(project, hold=True)
    assert line(first) == "at 0"
    second = start(project)
    assert {line(second), line(second)} == {"at 1", "at 2"}
    assert second.poll() is None
    (project / "go").touch()
    assert ended(second) == []
    assert (project / "painted").read_text() == "012"
    assert ended(first) == ["together"]


def test_who_keeps_the_run_is_killed_and_another_takes_over(project: Path) -> None:
    first = start(project, hold=True)
    assert line(first) == "at 0"
    second = start(project)
    assert {line(second), line(second)} == {"at 1", "at 2"}
    first.kill()
    first.communicate()
    assert ended(second) == ["at 0", "together"]
    assert (project / "painted").read_text() == "012"


ARRAY = {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "4"}


def test_a_task_of_an_array_that_is_not_the_first_leaves_when_nothing_is_free(
    project: Path,
) -> None:
    first = start(project, hold=True, SLURM_ARRAY_TASK_ID="0", **ARRAY)
    assert line(first) == "at 0"
    assert sorted(ended(start(project, SLURM_ARRAY_TASK_ID="2", **ARRAY))) == ["at 1", "at 2"]
    assert not (project / "painted").exists()
    first.kill()
    first.communicate()


@pytest.mark.parametrize("task", ["0", "3"])
def test_a_task_of_an_array_that_starts_when_all_is_made_does_nothing(
    project: Path, task: str
) -> None:
    assert ended(start(project, SLURM_ARRAY_TASK_ID="1", **ARRAY)) == EVERYTHING
    late = start(project, SLURM_ARRAY_TASK_ID=task, **ARRAY)
    out, error = late.communicate(timeout=60)
    assert (late.returncode, out) == (0, "")
    assert "paint: made already" in error
    (project / "painted").unlink()  # as DVC does
    assert ended(start(project, SLURM_ARRAY_TASK_ID=task, **ARRAY)) == EVERYTHING


def test_each_task_of_an_array_of_different_runs_makes_its_own(project: Path) -> None:
    assert ended(start(project, SLURM_ARRAY_TASK_ID="1", **ARRAY)) == EVERYTHING
    (project / "params.yaml").write_text("seed: 1\n")
    assert ended(start(project, SLURM_ARRAY_TASK_ID="2", **ARRAY)) == EVERYTHING


def test_a_helper_leaves_when_nothing_is_free(project: Path) -> None:
    first = start(project, hold=True)
    assert line(first) == "at 0"
    assert sorted(ended(start(project, CODEBRUSH_HELPER="1"))) == ["at 1", "at 2"]
    (project / "go").touch()
    assert ended(first) == ["together"]


def test_a_helper_that_comes_late_leaves_the_outs_as_they_are(project: Path) -> None:
    assert ended(start(project)) == EVERYTHING
    late = start(project, CODEBRUSH_HELPER="1")
    out, error = late.communicate(timeout=60)
    assert (late.returncode, out) == (0, "")
    assert "paint: made already" in error


def test_clones_with_one_scratch_folder_forget_nothing_of_one_another(project: Path) -> None:
    clone, shared = project / "clone", {"CODEBRUSH_SCRATCH": str(project / "scratch")}
    clone.mkdir()
    for name in ("dvc.yaml", "params.yaml", "code.py"):
        (clone / name).write_bytes((project / name).read_bytes())
    for folder in (project, clone):
        assert ended(start(folder, **shared)) == EVERYTHING
    for folder in (project, clone):
        assert ended(start(folder, CODEBRUSH_HELPER="1", **shared)) == []


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, for a stage in this process."""
    monkeypatch.chdir(project)
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    return project


def test_who_looks_late_and_makes_a_folder_again_is_no_error(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr(sharing, "remove", refuse)
    sharing.do_in_shares(
        "paint", {"0": Path.touch}, label="shares",
        put_together=lambda _: (here / "painted").touch(),
    )  # fmt: skip
    assert len(list((here / ".scratch" / "paint").glob("*.over"))) == 1


def test_two_runs_do_not_write_the_same_outs_at_once(here: Path) -> None:
    def put_together(_: list[Path]) -> None:
        (here / "painted").touch()
        with pytest.raises(Timeout):
            FileLock(next((here / ".scratch" / "paint").glob("*.outs")), blocking=False).acquire()

    sharing.do_in_shares("paint", {"0": Path.touch}, label="shares", put_together=put_together)


def test_who_waits_looks_at_the_shares_only_now_and_then(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers, looks = [], iter(range(20))

    def wait(_: float) -> None:
        if next(looks, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(Shares, "help", lambda self, is_over: offers.append(self))
    monkeypatch.setattr(time, "sleep", wait)
    with held(run_folder("paint")), pytest.raises(KeyboardInterrupt):
        sharing.do_in_shares("paint", {"0": Path.touch}, label="shares", put_together=print)
    assert len(offers) == 1


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({}, Place(0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "8", "GROUP_WORLD_SIZE": "1"}, Place(3, 8)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Place(1, 2)),
        ({"SKYPILOT_NODE_RANK": "1", "SKYPILOT_NUM_NODES": "4"}, Place(1, 4)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "14", "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_STEP": "2", "SLURM_ARRAY_TASK_COUNT": "4",
                "SLURM_PROCID": "0", "SLURM_NTASKS": "1",
            },
            Place(2, 4),
        ),
        (  # torchrun on each node by itself
            {
                "SKYPILOT_NODE_RANK": "1", "SKYPILOT_NUM_NODES": "2", "RANK": "3",
                "WORLD_SIZE": "4", "GROUP_WORLD_SIZE": "1",
            },
            Place(7, 8),
        ),
        (  # torchrun over all nodes, whose ranks need not be in the nodes' order
            {
                "SLURM_PROCID": "1", "SLURM_NTASKS": "2", "RANK": "0",
                "WORLD_SIZE": "8", "GROUP_WORLD_SIZE": "2",
            },
            Place(0, 8),
        ),
        ({"CODEBRUSH_HELPER": "1"}, Place(1, 2)),
        ({"CODEBRUSH_HELPER": "1", "RANK": "0", "WORLD_SIZE": "4"}, Place(4, 8)),
        ({"CODEBRUSH_HELPER": "0"}, Place(0, 1)),
        ({"SLURM_PROCID": "1", "SKYPILOT_NODE_RANK": "0"}, Place(0, 1)),  # SkyPilot on Slurm
    ],
)  # fmt: skip
def test_launchers_tell_a_process_its_place(told: dict[str, str], place: Place) -> None:
    assert Place.find(told) == place
