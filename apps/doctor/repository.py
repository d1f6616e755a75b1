"""What DVC has here: its cache, its lock, what a killed run left, what `dvc repro` would do."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from apps.doctor.disks import disks, nearest
from apps.doctor.finding import Finding
from apps.export import size_of
from apps.review.freshness import stale_stages
from pipeline.errors import UserError

RWLOCK = Path(".dvc/tmp/rwlock")


def repository(root: Path) -> Iterator[Finding]:
    """Yield all that is to say of the repository at `root`, and of the disks that it writes to."""
    moved = os.environ.get("CODEBRUSH_SCRATCH")
    scratch = Path(moved) if moved else root / ".scratch"
    places = {"the project": root, "checkpoints": scratch}
    if not (root / ".dvc").is_dir():
        yield from disks(places)
        says = f"{root.resolve()} is no DVC repository: clone it with git"
        yield Finding("DVC", says, fails=True)
        return
    if not shutil.which("git"):
        yield Finding("DVC", "git is not on the PATH", fails=True)
    try:
        cache = cache_folder(root)
    except UserError as error:
        yield from disks(places)
        yield Finding("DVC", str(error), fails=True)
        return
    yield from disks({**places, "DVC's cache": cache})
    yield _cache(cache)
    yield from _holders_of(root / RWLOCK)
    yield from staleness(root)
    yield from _stray_checkpoints(scratch)


def cache_folder(root: Path) -> Path:
    """Where DVC keeps what stages made, by its own settings; what `dvc cache dir` says.

    Raises:
        UserError: DVC cannot read its settings, or start.
    """
    try:
        from dvc.repo import Repo  # here, for it takes a quarter of a second

        logging.getLogger("dvc").setLevel(logging.CRITICAL)  # no warnings between the findings
        with Repo(str(root)) as repo:
            return Path(repo.cache.local_cache_dir)
    except ImportError:
        raise UserError("dvc is not installed") from None
    except Exception as error:  # of many kinds: of the settings, of files that DVC makes
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"DVC says: {said}") from None


def _cache(cache: Path) -> Finding:
    above = nearest(cache)
    if above is None:
        return Finding("DVC", f"its cache, {cache}, cannot be reached", fails=True)
    if not (above.is_dir() and os.access(above, os.W_OK)):
        return Finding("DVC", f"its cache, {cache}, cannot be written to", fails=True)
    try:
        return Finding("DVC", f"its cache, {cache}, holds {size_of(cache) / 1e9:.2f} GB")
    except OSError as error:  # a run at work moves files
        says = f"its cache, {cache}, cannot be measured now: {error.strerror}"
        return Finding("DVC", says, warns=True)


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
    try:
        stages = [folder for folder in scratch.glob("*/") if any(folder.rglob("*.safetensors"))]
    except FileNotFoundError:  # a run at work clears them away
        return
    except OSError as error:
        yield Finding("checkpoints", f"{scratch} cannot be read: {error.strerror}", fails=True)
        return
    if stages:
        names = ", ".join(sorted(folder.name for folder in stages))
        yield Finding("checkpoints", f"kept of {names}: the very same run goes on from them")
