"""Stages in shares: who puts them together, who helps, who leaves, by whichever launcher."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ENVIRONMENT, ROOT

from stages.places import Place

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
    "SLURM_ARRAY_TASK_ID", "SKYPILOT_NODE_RANK", "CODEBRUSH_SCRATCH",
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
        ({"SLURM_PROCID": "1", "SKYPILOT_NODE_RANK": "0"}, Place(0, 1)),  # SkyPilot on Slurm
    ],
)  # fmt: skip
def test_launchers_tell_a_process_its_place(told: dict[str, str], place: Place) -> None:
    assert Place.find(told) == place
