"""The scripts of docs/scale: what they start, as far as that shows without their schedulers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ROOT, yaml

from pipeline.params import read_yaml
from stages.__main__ import MAPS, TRAININGS

SCRIPTS = ROOT / "docs" / "scale"
STAGES = list(read_yaml(ROOT / "dvc.yaml")["stages"])
ALONE = ("train_judge",)
FAKES = {
    # Each writes down how it was called.
    "sbatch": 'echo "sbatch $*" >> "$CALLS"; wc -l < "$CALLS" | tr -d " "',
    "python": 'echo "python $*" >> "$CALLS"',
    "torchrun": 'echo "torchrun $*" >> "$CALLS"',
    "srun": 'echo "srun $*" >> "$CALLS"',
    # The first node ends a stage while another waits for it.
    "sleep": """for stage in $STAGES; do
        if [ -e "$ENDED/$stage" ]; then continue; fi
        touch "$ENDED/$stage"; echo "sleep $stage" >> "$CALLS"; exit
    done""",
    "scontrol": 'printf "node7\\nnode8\\n"',
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="scripts for bash")


def calls(folder: Path, *command: str, **environment: str) -> list[str]:
    """What a script calls, in a folder where the schedulers' commands are ours."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name, body in FAKES.items():
        tool = tools / name
        tool.write_text(f"#!/bin/bash\n{body}\n")
        tool.chmod(0o755)
    record = folder / "calls"
    record.unlink(missing_ok=True)
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60,
        env={"PATH": f"{tools}:{os.defpath}", "CALLS": str(record), **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return record.read_text().splitlines()


@pytest.mark.parametrize("script", sorted(p.name for p in SCRIPTS.iterdir() if p.suffix != ".yaml"))
def test_bash_understands_each_script(script: str) -> None:
    done = subprocess.run(["bash", "-n", SCRIPTS / script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_slurm_runs_every_stage_when_the_one_before_has_ended_well(tmp_path: Path) -> None:
    said = calls(tmp_path, "bash", str(SCRIPTS / "slurm.sh"), MAP_TASKS="4", TRAIN_NODES="2")
    assert [line.split()[-1] for line in said] == STAGES
    before = ""
    for number, (stage, line) in enumerate(zip(STAGES, said, strict=True)):
        how = "--nodes=2 docs/scale/train.sbatch" if stage in TRAININGS else (
            f"--array={'0-3' if stage in MAPS else '0'} docs/scale/map.sbatch"
        )  # fmt: skip
        after = f" --dependency=afterok:{before}" if before else ""
        assert line == f"sbatch --parsable{after} {how} {stage}"
        before = f"{number + 1}_0" if stage in MAPS else f"{number + 1}"


def test_the_scripts_that_slurm_is_given_are_there_and_start_their_stage(tmp_path: Path) -> None:
    here = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "12"}
    one = calls(tmp_path, "bash", str(SCRIPTS / "map.sbatch"), "dump_codes", **here)
    assert one == ["python -m stages dump_codes"]
    job = {"SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_GPUS_ON_NODE": "8"}
    two = calls(tmp_path, "bash", str(SCRIPTS / "train.sbatch"), "train_vqvae", **here, **job)
    assert two == [
        "srun torchrun --nnodes=2 --nproc-per-node=8 --rdzv-backend=c10d --rdzv-id=12 "
        "--rdzv-endpoint=node7:29500 --max-restarts=3 -m stages train_vqvae"
    ]


@pytest.mark.parametrize("rank", ["0", "1"])
def test_skypilot_runs_every_stage_on_every_node(tmp_path: Path, rank: str) -> None:
    task = yaml.load(SCRIPTS / "sky.yaml")
    assert task["envs"]["STAGES"].split() == STAGES
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").touch()
    ended = tmp_path / ".scratch" / "ended" / "sky-7"
    shared = f"{next(iter(task['volumes']))}/codebrush"
    assert shared in task["run"]
    said = calls(
        tmp_path, "bash", "-c", task["run"].replace(shared, str(tmp_path)),
        STAGES=task["envs"]["STAGES"], SKYPILOT_NODE_IPS="10.0.0.1\n10.0.0.2",
        SKYPILOT_NODE_RANK=rank, SKYPILOT_NUM_NODES="2", SKYPILOT_NUM_GPUS_PER_NODE="4",
        SKYPILOT_TASK_ID="sky-7", ENDED=str(ended),
    )  # fmt: skip
    waits = [line for line in said if line.startswith("sleep ")]
    assert waits == ([] if rank == "0" else [f"sleep {stage}" for stage in STAGES])
    order = [line.split()[-1] for line in said]
    assert list(dict.fromkeys(order)) == STAGES
    here = [stage for stage in STAGES if rank == "0" or stage not in ALONE]
    for stage, line in zip(here, (line for line in said if line not in waits), strict=True):
        if stage in TRAININGS:
            assert line.startswith("torchrun ")
            assert f"--node-rank={rank} --nproc-per-node=4" in line
            assert f"--rdzv-endpoint=10.0.0.1:{29501 + STAGES.index(stage)} " in line
        else:  # a map has no rendezvous: a node leaves when no share is free
            assert line == f"python -m stages {stage}"
    assert sorted(path.name for path in ended.iterdir()) == sorted(
        STAGES
    )  # a recovered job goes on
