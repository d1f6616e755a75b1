"""What can be told in a moment, without torch: settings, files, processor, memory, disk, DVC."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from apps.doctor.finding import Finding
from apps.doctor.repository import repository
from pipeline.cores import cores_here
from pipeline.download.pretrained import FETCH, OFF
from pipeline.errors import UserError
from pipeline.params import read_yaml
from stages import layout
from stages.__main__ import THREADS, InstructionSet, training_processes
from stages.checking import check_params

# Trainings of the default's size were seen to hold 0.8 GB; judging holds all models at once.
LEAST_MEMORY = 2.0  # GB
# What numpy calls the instructions of x86, before its version 2.4 and from there on.
LEVELS = {"AVX-512": {"AVX512_SKX", "X86_V4"}, "AVX2": {"AVX2", "X86_V3"}}


def findings(root: Path) -> Iterator[Finding]:
    """Yield all that is to say of the machine and the repository at `root`."""
    yield Finding(
        "Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    path = root / layout.PARAMS
    try:
        own = {"threads": THREADS, "instruction_set": InstructionSet}
        for line in check_params(path, own, processes=training_processes()):
            yield Finding("settings", line, warns=True)
        params = read_yaml(path)
    except UserError as error:
        yield Finding("settings", str(error), fails=True)
        return
    yield Finding("settings", f"{path} is as the stages expect it")
    yield _threads(params["threads"])
    yield _instructions(params["instruction_set"])
    yield _memory()
    yield _gpu()
    yield from _annotations(root, params["data"])
    yield from _pretrained(root, params["pretrained"])
    yield from repository(root)


def _threads(wanted: int) -> Finding:
    cores = cores_here()
    says = f"{cores} cores, threads = {wanted}"
    if wanted > cores:
        return Finding("processor", f"{says}: they will wait for one another", warns=True)
    if wanted < cores:
        says += "; more threads are faster, and sum to other bytes"
    return Finding("processor", says)


def _instructions(wanted: str) -> Finding:
    about = "instruction set"
    if platform.machine() not in ("x86_64", "AMD64"):
        return Finding(about, f"of {platform.machine()}; `instruction_set` is for x86 alone")
    import numpy as np

    known: Any = np.show_config(mode="dicts")
    has = {name for names in known["SIMD Extensions"].values() for name in names}
    has -= set(known["SIMD Extensions"].get("not found", []))
    best = next((level for level, names in LEVELS.items() if has & names), None)
    if best is None:
        return Finding(about, "no AVX2: slow, and sums come out otherwise", warns=True)
    says = f"{best}, instruction_set = {wanted}"
    if best != "AVX2" and wanted == "avx2":
        says += "; native is faster here, and sums to other bytes"
    return Finding(about, says)


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    free, total = memory.available / 1e9, memory.total / 1e9
    says = f"{free:.1f} of {total:.1f} GB free"
    if free < LEAST_MEMORY:
        return Finding("memory", f"{says}; the default run wants {LEAST_MEMORY:.0f}", warns=True)
    return Finding("memory", says)


def _gpu() -> Finding:
    if not shutil.which("nvidia-smi"):
        return Finding("GPU", "none of NVIDIA's; the default run needs none")
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return Finding("GPU", "nvidia-smi does not answer", warns=True)
    found = ", ".join(line.strip() for line in done.stdout.splitlines() if line.strip())
    if done.returncode or not found:
        return Finding("GPU", "nvidia-smi finds none that works", warns=True)
    return Finding("GPU", found)


def _annotations(root: Path, data: dict[str, Any]) -> Iterator[Finding]:
    source = data["source"]
    if source == "sample":
        yield Finding("data", "the sample, which is painted here")
        return
    for split in ("train", "test"):
        where = str(data[source][split])
        key = f"data.{source}.{split}"
        if not where:
            if split == "train":
                yield Finding("data", f"{key} is empty: expected a file or a URL", fails=True)
        elif where.startswith(("http://", "https://")):
            yield Finding("data", f"{key} will be fetched: {where}")
        elif (root / Path(where).expanduser()).exists():
            yield Finding("data", f"{key}: {where}")
        else:
            yield Finding("data", f"{key} = {where!r}: no such file or folder", fails=True)


def _pretrained(root: Path, pretrained: dict[str, Any]) -> Iterator[Finding]:
    for name in ("blip", "lpips", "wordnet"):
        where = pretrained[name] or OFF  # YAML 1.1 reads off as false
        if where == OFF:
            continue
        if where == FETCH:
            yield Finding("pretrained", f"{name} will be fetched")
        elif (root / Path(str(where)).expanduser()).is_dir():
            yield Finding("pretrained", f"{name}: {where}")
        else:
            yield Finding("pretrained", f"{name} = {where!r}: no such folder", fails=True)
