"""Going on after an interruption: a run's checkpoints, found again only by the very same run.

A run's checkpoints lie in `.scratch/<stage>/<fingerprint>`, where the fingerprint covers the
stage's command, its params' values, the bytes of its deps, the versions of the libraries that
compute, the kind of device and the number of processes. A change of any of these is another run,
which starts anew. DVC and git ignore the folder; `CODEBRUSH_SCRATCH` moves it (to a disk that
outlives a rented machine, say).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from pipeline.devices import best_device
from pipeline.errors import UserError
from pipeline.files import remove
from pipeline.params import read_yaml
from pipeline.provenance import COMPUTING
from pipeline.training.checkpoints import Checkpoints
from stages.scratch import scratch_root

UNFINISHED_KEPT = 2  # runs of a stage; someone who tries three learning rates keeps the last two


@contextlib.contextmanager
def checkpoints(stage: str) -> Iterator[Checkpoints]:
    """The checkpoints of this run of `stage`; removed when the body ends without an error.

    Raises:
        UserError: another process is at exactly this run.
    """
    folder = scratch_root() / stage / fingerprint(stage)
    folder.mkdir(parents=True, exist_ok=True)
    if os.environ.get("RANK", "0") != "0":  # the first process locks and tidies for its helpers
        yield Checkpoints(folder)
        return
    with _lock(folder, stage):
        _drop_older(folder, stage)
        yield Checkpoints(folder)
        remove(folder)


def fingerprint(stage: str) -> str:
    """What this run of `stage` depends on, in 32 hexadecimal digits."""
    entry = read_yaml(Path("dvc.yaml"))["stages"][stage]
    params = read_yaml(Path("params.yaml"))
    facts = {
        "cmd": entry["cmd"],
        "params": {key: _lookup(params, key) for key in entry["params"]},
        "deps": {dep: _digest(Path(dep)) for dep in entry["deps"]},
        "versions": {name: version(name) for name in COMPUTING},
        "device": [best_device().type, torch.backends.cpu.get_cpu_capability()],
        "processes": os.environ.get("WORLD_SIZE", "1"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _lookup(params: dict[str, Any], key: str) -> Any:
    value: Any = params
    for part in key.split("."):
        value = value[part]
    return value


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


@contextlib.contextmanager
def _lock(folder: Path, stage: str) -> Iterator[None]:
    # Beside the folder, not in it: the folder is removed while the lock is held.
    path = folder.with_suffix(".lock")
    lock = FileLock(path)  # the system takes it from a process that was killed
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UserError(
            f"{stage}: another process is already at exactly this run; wait for it or end it"
        ) from None
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):  # Windows' lock removes its file by itself
            path.unlink(missing_ok=True)
        lock.release()


def _drop_older(folder: Path, stage: str) -> None:
    """Drop what interrupted runs left, but the newest; runs still going hold their locks."""
    others = [p for p in folder.parent.iterdir() if p.is_dir() and p != folder]
    others.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    for old in others[UNFINISHED_KEPT - 1 :]:
        with contextlib.suppress(UserError), _lock(old, stage):
            remove(old)
