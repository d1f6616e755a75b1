"""Stages on several processes and machines: the same bytes, and a killed one costs little.

Two working folders stand for two machines: each has the code, and both see one folder of data, one
of models and one scratch folder.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tiny import ENVIRONMENT, ROOT, make_project, yaml

from stages.__main__ import MACHINE, MAPS, PINNED, PREPARED

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills what launchers started")

STAGES = yaml.load(ROOT / "dvc.yaml")["stages"]
BEFORE = list(STAGES)[: list(STAGES).index("dump_codes")]
BETWEEN = ("train_decoder", "train_pixelsnail", "train_judge")
STEPS = 60  # of a training that is disturbed before it ends
SMALL = [sys.executable, str(ROOT / "tests" / "small_shares.py")]


def start(folder: Path, *command: str, **environment: str) -> subprocess.Popen[str]:
    """A process of a stage, prepared as the launcher prepares it."""
    given = {**ENVIRONMENT, **MACHINE, **PINNED, PREPARED: "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**given, "PYTHONPATH": str(folder), **environment},
    )  # fmt: skip


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to a process and to all below it: torchrun's have sessions of their own."""
    first = psutil.Process(process.pid)
    for each in [first, *first.children(recursive=True)]:
        each.kill()
    process.communicate()


def end(*processes: subprocess.Popen[str]) -> None:
    """Wait until all have ended well."""
    for process in processes:
        out, error = process.communicate(timeout=250)
        assert process.returncode == 0, (out + error)[-3000:]


def paths(project: Path, stage: str) -> list[Path]:
    """All that a stage makes."""
    listed = [out for kind in ("outs", "metrics", "plots") for out in STAGES[stage].get(kind, [])]
    return [project / (out if isinstance(out, str) else next(iter(out))) for out in listed]


def outs(project: Path, stage: str) -> dict[str, str]:
    """The digest of each file that a stage made."""
    files = [file for path in paths(project, stage) for file in (path, *path.rglob("*"))]
    return {
        str(file.relative_to(project)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file()
    }


def forget(project: Path, stage: str) -> None:
    """Remove a stage's outs, as DVC does before it runs."""
    for path in paths(project, stage):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders of one project in which all maps were done by one process."""
    root = tmp_path_factory.mktemp("machines")
    first, second = root / "first", root / "second"
    make_project(first, vqvae={"steps": STEPS})
    for stage in STAGES:
        if stage in (*BEFORE, *MAPS, *BETWEEN):
            end(start(first, *SMALL, stage))
    second.mkdir()
    for name in ("pipeline", "stages", "annotations", "docs", "dvc.yaml", "params.yaml"):
        copy = shutil.copytree if (first / name).is_dir() else shutil.copy
        copy(first / name, second / name)
    for name in ("data", "models", "metrics"):
        (second / name).symlink_to(first / name)
    return [first, second]


@pytest.fixture
def shared(tmp_path: Path) -> dict[str, str]:
    """The environment by which both see one scratch folder."""
    return {"CODEBRUSH_SCRATCH": str(tmp_path / "scratch")}


@pytest.mark.parametrize("stage", MAPS)
def test_three_processes_on_two_machines_make_the_bytes_of_one(
    machines: list[Path], shared: dict[str, str], stage: str
) -> None:
    made = outs(machines[0], stage)
    forget(machines[0], stage)
    folders = [machines[0], *machines]
    end(*(start(folder, *SMALL, stage, **shared) for folder in folders))
    assert outs(machines[0], stage) == made
    assert made


@pytest.mark.parametrize("stage", ["dump_codes", "evaluate"])
def test_a_machine_that_is_lost_costs_the_share_that_it_was_at(
    machines: list[Path], shared: dict[str, str], stage: str
) -> None:
    made = outs(machines[0], stage)
    forget(machines[0], stage)
    lost = start(machines[1], *SMALL, stage, "--stuck", **shared)
    assert lost.stdout is not None
    assert lost.stdout.readline() == "stuck\n"
    done = list(Path(shared["CODEBRUSH_SCRATCH"]).glob(f"{stage}/*/0*"))
    times = {path: path.stat().st_mtime_ns for path in done}
    assert len(times) == 1
    kill(lost)
    going = start(machines[0], *SMALL, stage, "--stuck", **shared)
    assert going.stdout is not None
    assert going.stdout.readline() == "stuck\n"
    assert {path: path.stat().st_mtime_ns for path in done} == times
    kill(going)
    end(start(machines[0], *SMALL, stage, **shared))
    assert outs(machines[0], stage) == made


def test_a_training_on_two_machines_goes_on_when_one_was_lost_and_both_start_again(
    machines: list[Path], shared: dict[str, str]
) -> None:
    def machine(folder: Path, port: int, *, is_host: bool) -> subprocess.Popen[str]:
        told: dict[str, Any] = {
            "--nnodes": 2, "--nproc-per-node": 1, "--rdzv-backend": "c10d",
            "--rdzv-id": port, "--rdzv-endpoint": f"127.0.0.1:{port}",
            "--rdzv-conf": f"is_host={is_host}",
        }  # fmt: skip
        options = [f"{key}={value}" for key, value in told.items()]
        command = [sys.executable, "-m", "torch.distributed.run", *options]
        return start(folder, *command, "-m", "stages", "train_vqvae", **shared)

    first, second = machines
    forget(first, "train_vqvae")
    port = _free_port()
    end(machine(first, port, is_host=True), machine(second, port, is_host=False))
    undisturbed = outs(first, "train_vqvae")
    forget(first, "train_vqvae")
    port = _free_port()
    left, lost = machine(first, port, is_host=True), machine(second, port, is_host=False)
    _wait_for_checkpoint(Path(shared["CODEBRUSH_SCRATCH"]))
    kill(lost)
    left.communicate(timeout=250)
    assert left.returncode != 0
    port = _free_port()
    end(machine(first, port, is_host=True), machine(second, port, is_host=False))
    assert outs(first, "train_vqvae") == undisturbed


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_checkpoint(scratch: Path) -> None:
    until = time.monotonic() + 200
    while not list(scratch.glob("train_vqvae/*/0*.safetensors")):
        assert time.monotonic() < until
        time.sleep(0.002)
