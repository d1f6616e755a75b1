"""`python -m stages NAME`: the launcher of every stage.

It gives the stage its processes, threads and allocator, which must be known before Python loads
torch, and turns a user's mistake into one line on stderr and exit status 1.

How many processes is a fact of the machine, not of the result, so it stands neither in params.yaml
nor in dvc.yaml: one for each accelerator, or `CODEBRUSH_PROCESSES`. On several machines, start the
stage with `torchrun` there; the launcher then leaves everything as it finds it. A stage that is a
map may be started any number of times besides (see `pipeline.shares`).
"""

from __future__ import annotations

import errno
import importlib
import os
import platform
import re
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pipeline.errors import OwnError, UserError
from pipeline.params import load_section, read_yaml
from pipeline.waiting import SPIN_COUNT
from stages.layout import AHEAD, PARAMS

TRAININGS = ("finetune_blip", "train_vqvae", "train_decoder", "train_pixelsnail", "train_diffusion")
MAPS = ("download", "resize_images", "extract_embeddings", "dump_codes", "generate", "evaluate")
# They need nothing of one another, so they are trained beside one another (`stages.beside`).
SIDE_BY_SIDE = ("train_decoder", "train_pixelsnail", "train_diffusion", "train_judge")

MACHINE = {
    # glibc hands every large block back to the kernel and faults it in at the next step; keeping
    # them saves a VQ-VAE step a fifth of its time.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    **SPIN_COUNT,
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it cuBLAS repeats nothing exactly
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
PREPARED = "CODEBRUSH_PREPARED"
THREADS: Any = Annotated[int, Field(strict=True, ge=1)]  # Any: mypy takes it for no type

# What the machine, not the project, is short of.
SHORTAGES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


class InstructionSet(StrEnum):
    """How far the libraries that compute may go on an x86 processor."""

    AVX2 = "avx2"
    NATIVE = "native"


PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",  # OpenBLAS' name for AVX2
}


def main(arguments: list[str]) -> int:
    """Run one stage; returns its exit status."""
    try:
        stage = _known(arguments)
        if PREPARED not in os.environ:
            _check_params(stage)
            return _start_again(stage, 1 if "WORLD_SIZE" in os.environ else _processes(stage))
        module = importlib.import_module(f"stages.{stage}")
        if "torch" in sys.modules:  # download does without the second that importing it takes
            from pipeline.devices import repeat_exactly

            repeat_exactly()
        with _company(stage):
            module.main()
    except UserError as error:
        return _say(str(error), alone=isinstance(error, OwnError))
    except KeyboardInterrupt:
        return _say("interrupted; the next run goes on from the last checkpoint", status=130)
    except FloatingPointError as error:
        return _say(f"{stage}: {error}", alone=True)
    except Exception as error:
        shortage = _shortage(error)
        if shortage is None:
            raise
        line = f"{stage}: {shortage}; mend that and run it again, nothing was lost"
        return _say(line, alone=True)
    return 0


def _known(arguments: list[str]) -> str:
    stages = list(read_yaml(Path("dvc.yaml"))["stages"])
    if len(arguments) != 1 or arguments[0] not in stages:
        given = " ".join(arguments) or "nothing"
        raise UserError(f"python -m stages NAME: {given!r} is none of {', '.join(stages)}")
    stage = arguments[0]
    if stage not in (*TRAININGS, *MAPS) and os.environ.get("WORLD_SIZE", "1") != "1":
        others = ", ".join((*TRAININGS, *MAPS))
        raise UserError(f"{stage} is one process; torchrun is for {others}")
    return stage


def training_processes() -> int:
    """How many processes share a batch of each training here.

    Raises:
        UserError: CODEBRUSH_PROCESSES is no number of processes.
    """
    return int(os.environ.get("WORLD_SIZE", "0")) or _processes(TRAININGS[0])


def threads_of(stage: str, threads: int) -> int:
    """How many of the `threads` of params.yaml a stage has: half, where another learns beside it.

    So many also when it is alone, for they are part of the result.
    """
    return max(1, threads // 2) if stage in SIDE_BY_SIDE else threads


def _company(stage: str) -> AbstractContextManager[None]:
    """What goes on beside a stage that is about to begin; on an accelerator nothing does."""
    if AHEAD in os.environ:
        _beside().end_with_parent()
    elif stage in SIDE_BY_SIDE and "WORLD_SIZE" not in os.environ:
        from pipeline.devices import best_device

        several = load_section(PARAMS, "threads", THREADS) > 1
        if several and best_device().type == "cpu" and (others := _others(stage)):
            company: AbstractContextManager[None] = _beside().trained_ahead(others)
            return company
    return nullcontext()


def _others(stage: str) -> list[str]:
    """What is trained beside a stage, in this order: what comes later and does not need it."""
    prior = f"train_{load_section(PARAMS, 'prior', str)}"
    # The judge is first, for it takes a minute, and starts again where it was ended.
    judge = ["train_judge"] if load_section(PARAMS, "data.source", str) == "sample" else []
    return {"train_decoder": [*judge, prior], prior: judge}.get(stage, [])


def _beside() -> Any:
    return importlib.import_module("stages.beside")  # by name: it changes no result, so is no dep


def _check_params(stage: str) -> None:
    """Check all sections of params.yaml, those of later stages too, in a fraction of a second."""
    own = {"threads": THREADS, "instruction_set": InstructionSet}
    checking: Any = importlib.import_module("stages.checking")  # by name: it is no code dep
    # The first stage says it for the trainings to come; a map that torchrun starts may have more.
    first = stage == "download" and "WORLD_SIZE" not in os.environ
    processes = training_processes() if first or stage in TRAININGS else 1
    for line in checking.check_params(PARAMS, own, processes=processes):
        if stage == "download":
            print(line, file=sys.stderr, flush=True)


def _start_again(stage: str, processes: int) -> int:
    """Start again, as this same process if the system can, with the environment that it needs."""
    environment = {**MACHINE, **os.environ, PREPARED: "1"}
    command = [sys.executable, "-m"]
    if processes > 1:
        command += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    if "threads" in read_yaml(Path("dvc.yaml"))["stages"][stage]["params"]:
        # Sums are cut into as many parts as there are threads, and each part into vectors as wide
        # as the processor's: both are part of the result.
        threads = threads_of(stage, load_section(PARAMS, "threads", THREADS))
        environment["OMP_NUM_THREADS"] = str(threads)
        instructions = load_section(PARAMS, "instruction_set", InstructionSet)
        if instructions is InstructionSet.AVX2 and platform.machine() in ("x86_64", "AMD64"):
            environment |= PINNED
    command += ["stages", stage]
    if hasattr(os, "fork"):
        os.execve(sys.executable, command, environment)
    # Windows' exec starts another process, too, and ends this one, which somebody waits for.
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the stage gets it as well, and says what that means


def _processes(stage: str) -> int:
    if stage not in (*TRAININGS, *MAPS) or stage == "download":  # that is on all cores by itself
        return 1
    given = os.environ.get("CODEBRUSH_PROCESSES")
    if given is None:
        if not (any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()):  # AMD's
            return 1  # without the second that importing torch takes
        import torch

        return max(1, torch.accelerator.device_count())
    if not given.isdecimal() or int(given) < 1:
        raise UserError(f"CODEBRUSH_PROCESSES = {given!r}: expected a whole number of at least 1")
    return int(given)


def _shortage(error: Exception) -> str | None:
    """What ran out, in one line, if that is what happened; whatever library noticed it."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in SHORTAGES:
        return f"{error.filename or 'a file'}: {error.strerror}"
    if isinstance(error, MemoryError) or re.search("out of memory|allocate memory", text, re.I):
        return f"not enough memory ({text[:120]}); a smaller batch_size takes less"
    if any(os.strerror(number) in text for number in SHORTAGES):  # safetensors, LMDB
        return text[:200]
    return None


def _say(line: str, *, status: int = 1, alone: bool = False) -> int:
    """Print the line; each machine's first process does for all there, unless one is `alone`."""
    rank = os.environ.get("RANK", "0")
    if alone or os.environ.get("LOCAL_RANK", "0") == "0":
        which = "" if rank == "0" else f"process {rank}: "
        print(f"error: {which}{line}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
