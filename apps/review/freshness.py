"""Are dvc.lock and metrics/ those of this tree? Asked of DVC, without cache, remote or training."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from pipeline.errors import UserError

DVC_YAML = "dvc.yaml"
RUNNING = "Running stage '"
ABSENT = ("deleted", "not in cache")
MOST = 6  # reasons told of one stage


@dataclass(frozen=True)
class Stale:
    """A stage that would run.

    Attributes:
        line: of dvc.yaml, from 1.
        why: what of it differs from dvc.lock.
    """

    stage: str
    line: int
    why: str


def stale_stages(root: Path) -> list[Stale]:
    """The stages whose entry in dvc.lock is not that of the checkout at `root`.

    Raises:
        UserError: DVC cannot say.
    """
    pipeline = _pipeline(root)
    dry = _dvc(root, "repro", "--dry", "--allow-missing")
    running = [line.split("'")[1] for line in dry.stdout.splitlines() if line.startswith(RUNNING)]
    why = dict.fromkeys(running, "dvc.lock is not that of this tree")
    why |= dict(_unseen(root, pipeline))
    if running or dry.returncode:  # it names no reason, and stops where data is not here: ask on
        why |= dict(_reasons(root, pipeline))
        if not why:
            raise UserError(f"dvc repro --dry: {_last(dry.stderr)}")
    lines = _lines(pipeline)
    found = [Stale(stage, lines.get(stage.partition("@")[0], 1), why[stage]) for stage in why]
    return sorted(found, key=lambda stale: stale.line)


def _reasons(root: Path, pipeline: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What `dvc status` says of each stage, less the data that a fresh checkout lacks."""
    status = _dvc(root, "status", "--json")
    try:
        found = json.loads(status.stdout)
    except ValueError:
        raise UserError(f"dvc status: {_last(status.stderr)}") from None
    cached = {path for entry in pipeline.values() for path, here in _outs(entry) if not here}
    for stage, changes in found.items():
        said = [word for change in changes for word in _said(change, cached)]
        said.sort(key=lambda word: ".py " in word)  # params and data say more than code
        if said:
            more = f" and {len(said) - MOST} more" if len(said) > MOST else ""
            yield stage, ", ".join(said[:MOST]) + more


def _said(change: Any, cached: set[str]) -> Iterator[str]:
    if isinstance(change, str):  # "changed command"
        yield change
        return
    for paths in change.values():  # of "changed deps", "changed outs"
        for path, state in paths.items():
            if isinstance(state, dict):  # params of a file
                yield from (f"{path}: {key} {value}" for key, value in state.items())
            elif not (state in ABSENT and path in cached):
                yield f"{path} {state}"


def _unseen(root: Path, pipeline: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What DVC lets pass: outs in git (metrics, plots) that are not there, and frozen stages."""
    for stage, entry in pipeline.items():
        lost = [path for path, in_git in _outs(entry) if in_git and not (root / path).exists()]
        if lost:
            yield stage, f"not there: {', '.join(lost)}"
        elif isinstance(entry, dict) and entry.get("frozen"):
            yield stage, "frozen, so DVC does not look at what it reads"


def _outs(entry: Any) -> Iterator[tuple[str, bool]]:
    """The path of each out of a stage, and whether it is in git (`cache: false`)."""
    for kind in ("outs", "metrics", "plots"):
        for out in (entry.get(kind) or ()) if isinstance(entry, dict) else ():
            for path, facts in out.items() if isinstance(out, dict) else [(out, {})]:
                yield str(path), isinstance(facts, dict) and facts.get("cache") is False


def _pipeline(root: Path) -> Mapping[str, Any]:
    """The stages of dvc.yaml, with the lines that they stand at."""
    path = root / DVC_YAML
    try:
        stages = YAML().load(path.read_text(encoding="utf-8"))["stages"]
    except (OSError, YAMLError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: no pipeline") from None
    if not isinstance(stages, dict):
        raise UserError(f"{path}: no stages")
    return stages


def _lines(stages: Any) -> dict[str, int]:
    return {str(stage): stages.lc.key(stage)[0] + 1 for stage in stages}


def _dvc(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["dvc", *arguments], cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError("dvc is not installed") from None


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1]
