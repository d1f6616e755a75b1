"""A run's own place in the scratch folder, found again only by the very same run.

It is `.scratch/<stage>/<fingerprint>`, where the fingerprint covers the stage's command, its
params' values, the bytes of its deps, the versions of the libraries that compute and the kind of
device. A change of any of these is another run, which starts anew. DVC and git ignore the folder;
`CODEBRUSH_SCRATCH` moves it (to a disk that outlives a rented machine, say).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.files import remove
from pipeline.params import read_yaml
from pipeline.provenance import COMPUTING
from pipeline.sealing import MANIFEST
from stages.scratch import scratch_root

# The user's own files may be very many: no fingerprint hashes them; see `watched`.
WATCHED = "${data.watch}"
UNFINISHED_KEPT = 2  # runs of a stage; someone who tries three learning rates keeps the last two


def run_folder(stage: str, **facts: Any) -> Path:
    """Where this run of `stage` keeps what it has done so far; nothing is made."""
    return scratch_root() / stage / fingerprint(stage, **facts)


def fingerprint(stage: str, **facts: Any) -> str:
    """What this run of `stage` depends on, in 32 hexadecimal digits.

    Args:
        facts: further ones that tell this run from others.
    """
    entry = read_yaml(Path("dvc.yaml"))["stages"][stage]
    params = read_yaml(Path("params.yaml"))
    whole = {
        "cmd": entry["cmd"],
        "params": {key: _lookup(params, key) for key in entry["params"]},
        "deps": {
            dep: _dep_digest(Path(_resolved(dep, params)))
            for dep in entry["deps"]
            if dep != WATCHED
        },
        "versions": {name: version(name) for name in COMPUTING},
        "device": _device(),
        **facts,
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]


def watched(stage: str) -> str:
    """What tells the user's own files from others, if the stage reads any: paths, sizes, times."""
    if WATCHED not in read_yaml(Path("dvc.yaml"))["stages"][stage]["deps"]:
        return ""
    root, digest = Path(_resolved(WATCHED, read_yaml(Path("params.yaml")))), hashlib.sha256()
    files = [root] if root.is_file() else [p for p in root.rglob("*") if p.is_file()]
    for file in sorted(files):
        about = file.stat()
        digest.update(ascii((str(file), about.st_size, about.st_mtime_ns)).encode())
    return digest.hexdigest()


def _device() -> list[str]:
    if "torch" not in sys.modules:
        return []
    import torch

    from pipeline.devices import best_device

    return [best_device().type, torch.backends.cpu.get_cpu_capability()]


def _resolved(dep: str, params: dict[str, Any]) -> str:
    """A dep of dvc.yaml with the params that it names, `${prior}`, in their places."""
    return re.sub(r"\$\{(.+?)\}", lambda named: str(_lookup(params, named[1])), dep)


def _lookup(params: dict[str, Any], key: str) -> Any:
    value: Any = params
    for part in key.split("."):
        value = value[part]
    return value


def _dep_digest(path: Path) -> str:
    try:
        return _digest(path)
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename}: no such file; a stage before this one makes it"
        ) from None


def _digest(path: Path) -> str:
    """Of a file's bytes, or of a folder's, which a manifest tells of those that it seals."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    sealed = {file.parent for file in files if file.name == MANIFEST}
    for file in files:
        digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
        if file.name != MANIFEST and not sealed.isdisjoint(file.parents):
            continue  # whoever reads it compares; to hash a million pictures here takes minutes
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold a run's lock in the body; False: another process holds it."""
    # Beside the folder, not in it: the folder is removed while the lock is held.
    path = folder.with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)  # the system takes it from a process that was killed
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        with contextlib.suppress(PermissionError):  # Windows' lock removes its file by itself
            path.unlink(missing_ok=True)
        lock.release()


def drop_older(folder: Path) -> None:
    """Drop what interrupted runs left, but the newest; runs still going hold their locks."""
    others = [p for p in folder.parent.iterdir() if p.is_dir() and p != folder]
    others.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    for old in others[UNFINISHED_KEPT - 1 :]:
        with held(old) as unused:
            if unused:
                remove(old)
