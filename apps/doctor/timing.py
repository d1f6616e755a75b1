"""What a run takes here: trainings are measured in a process as the launcher starts it.

Memory that is handed back, threads, instructions: all must be in the environment before torch is
loaded, and a training that this machine has no memory for ends that process alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from apps.doctor.finding import Finding
from apps.environment import environment_as_judged
from pipeline.cores import cores_here
from pipeline.download.pretrained import OFF, Pretrained
from pipeline.errors import UserError
from pipeline.params import load_section, read_yaml
from stages.__main__ import MACHINE, SIDE_BY_SIDE, threads_of, training_processes
from stages.layout import FAMILY

CODE = Path(__file__).resolve().parents[2]  # its folder goes first on the path of `python -m`
MEASURING = "measuring"  # what the lines of progress in that process are of
# Of each training stage: its section of params.yaml, and what people call it.
TRAININGS = {
    "finetune_blip": ("blip", "BLIP"),
    "train_vqvae": ("vqvae", "VQ-VAE"),
    "train_decoder": ("decoder", "decoder"),
    "train_pixelsnail": ("pixelsnail", "PixelSNAIL"),
    "train_diffusion": ("diffusion", "diffusion"),
}


def timings(params: Path) -> Iterator[Finding]:
    """Yield the time of each training of these settings, then of all."""
    stages = ["train_vqvae", "train_decoder", f"train_{load_section(params, 'prior', FAMILY)}"]
    if load_section(params, "pretrained", Pretrained).blip == OFF:
        stages.insert(0, "finetune_blip")
    else:
        says = "BLIP goes on from a checkpoint; its sizes are not known here"
        yield Finding("time", says, warns=True)
    found: list[Measured] = []
    try:
        for training in measured(stages, params):
            if not found:
                yield Finding("torch", training.torch)
            found.append(training)
            says = f"{TRAININGS[training.stage][1]} trains for about {_minutes(training.seconds)}"
            yield Finding("time", says)
    except UserError as error:
        yield Finding("time", str(error), fails=True)
        return
    seconds, how = sum(training.seconds for training in found), ""
    several = read_yaml(params)["threads"] > 1 and cores_here() > 1 and training_processes() == 1
    if found[0].on_cpu and several:
        seconds -= min(each.seconds for each in found if each.stage in SIDE_BY_SIDE)
        how = ", the prior beside the decoder,"
    yield Finding(
        "time",
        f"{_minutes(seconds)} of training{how} on this machine as busy as it is now; data, "
        "judge, painting and judging come on top",
    )


class Measured(NamedTuple):
    """A training stage and what it takes.

    Attributes:
        seconds: of all its steps.
        torch: its version, and what it computes on.
        on_cpu: not on an accelerator.
    """

    stage: str
    seconds: float
    torch: str
    on_cpu: bool


def measured(stages: Sequence[str], params: Path) -> Iterator[Measured]:
    """Yield what each training stage takes.

    Raises:
        UserError: a training does not get through its first steps.
    """
    values = read_yaml(params)

    def shared(stage: str) -> tuple[str, int]:
        # accelerate keeps to the precision that it was given first in a process.
        return values[TRAININGS[stage][0]]["precision"], threads_of(stage, values["threads"])

    for (_, threads), alike in groupby(stages, shared):
        environment = environment_as_judged(threads, values["instruction_set"])
        left = list(alike)
        command = [sys.executable, "-m", "apps.doctor.speed", str(params.resolve()), *left]
        with (
            TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
            subprocess.Popen(
                command,
                cwd=CODE,
                env={**MACHINE, **os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=said,
                encoding="utf-8",
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                facts = json.loads(line)
                yield Measured(left.pop(0), **facts)
            process.wait()
            said.seek(0)
            lines = [line for line in said if line.strip() and not line.startswith(f"{MEASURING}:")]
        if left:
            raise UserError(f"{left[0]}{_end(process.returncode, lines)}")


def _end(status: int, lines: Sequence[str]) -> str:
    """How the process ended, by its exit status and what it wrote on stderr."""
    if status < 0:
        return f": killed by signal {-status}; no memory for it, perhaps"
    last = lines[-1].strip() if lines else "no memory for it, perhaps"
    return f" ends in its first steps: {last[:160]}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
