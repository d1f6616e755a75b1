"""What can be told in a moment, without torch: settings, files, processor, memory, disk, DVC."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from apps.export import size_of
from apps.review.freshness import stale_stages
from pipeline.download.pretrained import FETCH, OFF
from pipeline.errors import UserError
from pipeline.params import read_yaml
from stages import layout
from stages.__main__ import THREADS, InstructionSet
from stages.checking import check_params

RWLOCK = Path(".dvc/tmp/rwlock")
# Trainings of the default's size were seen to hold 0.8 GB; judging holds all models at once.
LEAST_MEMORY, LEAST_DISK = 2.0, 1.0  # GB


@dataclass(frozen=True)
class Finding:
    """One line of what the doctor says.

    Attributes:
        fails: would a run fail because of it?
        warns: will it be slower than it could be, or other than one expects?
    """

    about: str
    says: str
    fails: bool = False
    warns: bool = False

    def __str__(self) -> str:
        mark = "FAILS" if self.fails else "note" if self.warns else "ok"
        return f"{mark:>5}  {self.about}: {self.says}"


def findings(root: Path) -> Iterator[Finding]:
    """Yield all that is to say of the machine and the repository at `root`."""
    yield Finding(
        "Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    path = root / layout.PARAMS
    try:
        own = {"threads": THREADS, "instruction_set": InstructionSet}
        for line in check_params(path, own, processes=1):
            yield Finding("settings", line, warns=True)
        params = read_yaml(path)
    except UserError as error:
        yield Finding("settings", str(error), fails=True)
        return
    yield Finding("settings", f"{path} is as the stages expect it")
    yield _threads(params["threads"])
    yield _memory()
    yield _gpu()
    yield _disk(root)
    yield from _annotations(root, params["data"])
    yield from _pretrained(root, params["pretrained"])
    yield from _dvc(root)


def _threads(wanted: int) -> Finding:
    cores = cores_here()
    says = f"{cores} cores, threads = {wanted}"
    if wanted > cores:
        return Finding("processor", f"{says}: they will wait for one another", warns=True)
    if wanted < cores:
        says += "; more threads are faster, and sum to other bytes"
    return Finding("processor", says)


def cores_here() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


def _disk(root: Path) -> Finding:
    free = shutil.disk_usage(root).free / 1e9
    if free < LEAST_DISK:
        return Finding("disk", f"{free:.1f} GB free", fails=free < 0.1, warns=True)
    return Finding("disk", f"{free:.1f} GB free")


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


def _dvc(root: Path) -> Iterator[Finding]:
    if not (root / ".dvc").is_dir():
        yield Finding(
            "DVC", f"{root.resolve()} is no DVC repository: clone it with git", fails=True
        )
        return
    if not shutil.which("git"):
        yield Finding("DVC", "git is not on the PATH", fails=True)
    yield Finding("DVC", f"its cache holds {size_of(root / '.dvc' / 'cache') / 1e9:.2f} GB")
    yield from _holders_of(root / RWLOCK)
    yield from staleness(root)
    moved = os.environ.get("CODEBRUSH_SCRATCH")
    yield from _stray_checkpoints(Path(moved) if moved else root / ".scratch")


def staleness(root: Path) -> Iterator[Finding]:
    """Is dvc.lock that of this tree; if not, which stages `dvc repro` runs again, and why."""
    if not (root / "dvc.lock").is_file():
        yield Finding("DVC", "there is no dvc.lock: `dvc repro` runs every stage", warns=True)
        return
    try:
        stale = stale_stages(root)
    except UserError as error:
        yield Finding("DVC", str(error), fails=True)
        return
    if not stale:
        yield Finding("DVC", "dvc.lock is of these settings, this data and this code")
        return
    says = "dvc.lock is stale: `dvc repro` runs these again, and what reads what they make"
    yield Finding("DVC", says, warns=True)
    for found in stale:
        yield Finding("stale", f"{found.stage}: {found.why}", warns=True)


def _holders_of(path: Path) -> Iterator[Finding]:
    """Who holds an output, by DVC's own record; a killed run leaves its entry behind."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8") or "{}")
        holders = {int(holder["pid"]) for entry in entries.values() for holder in _holders(entry)}
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        yield Finding("DVC", f"{path} cannot be read: delete it", fails=True)
        return
    gone = sorted(pid for pid in holders if not psutil.pid_exists(pid))
    if gone:
        yield Finding(
            "DVC", f"{path} was left by a killed run (process {gone[0]}): delete it", fails=True
        )
    elif holders:
        yield Finding("DVC", f"process {min(holders)} is at work here", warns=True)


def _holders(entry: dict[str, Any]) -> list[dict[str, Any]]:
    write = [entry["write"]] if entry.get("write") else []
    return [*write, *entry.get("read", [])]


def _stray_checkpoints(scratch: Path) -> Iterator[Finding]:
    stages = [folder for folder in scratch.glob("*/") if any(folder.rglob("*.safetensors"))]
    if stages:
        names = ", ".join(sorted(folder.name for folder in stages))
        yield Finding("checkpoints", f"kept of {names}: the very same run goes on from them")
