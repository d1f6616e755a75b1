"""What git is asked, and what to fetch where a checkout does not reach far enough."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pipeline.errors import UserError


def git(*arguments: str, at: Path = Path()) -> bytes | None:
    """What git prints in the repository `at`; None where it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=at, capture_output=True)
    except FileNotFoundError:
        raise UserError("git is not installed") from None
    return None if done.returncode else done.stdout


def commit_of(name: str) -> str | None:
    """The commit that git, or DVC for an experiment, calls `name`; None if there is none.

    Raises:
        UserError: several experiments have that name.
    """
    if name.startswith("-") or not name.isprintable():
        return None  # never an option
    if commit := _line("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"):
        return commit
    # DVC keeps an experiment as refs/exps/AB/CDEF…/NAME, below the commit that it grew from.
    refs = (git("for-each-ref", "--format=%(refname)", "refs/exps") or b"").decode(
        "utf-8", "replace"
    )
    found = [ref for ref in refs.split() if ref.count("/") == 4 and ref.rpartition("/")[2] == name]
    if len(found) > 1:
        raise UserError(f"{name}: {len(found)} experiments have this name; say one: {found[0]}")
    return _line("rev-parse", "--verify", "--quiet", found[0]) if found else None


def merge_base(before: str, after: str) -> str:
    """The commit in which two parted.

    Raises:
        UserError: they have none, or this shallow checkout does not reach it.
    """
    if base := _line("merge-base", before, after):
        return base
    if is_shallow():
        raise UserError(
            f"this shallow checkout does not reach where {before[:12]} and {after[:12]} parted; "
            "run `git fetch --unshallow origin` (in a workflow: `fetch-depth: 0`)"
        )
    raise UserError(f"{before[:12]} and {after[:12]} have no commit in common")


def is_shallow() -> bool:
    """Does this checkout lack the older commits?"""
    return _line("rev-parse", "--is-shallow-repository") == "true"


def unknown(name: str) -> UserError:
    """The error for a name that nothing here has; it says what to fetch."""
    branch = name.removeprefix("origin/")
    fetch = "git fetch --unshallow origin" if is_shallow() else f"git fetch origin {branch}"
    return UserError(
        f"{name!r}: no commit, branch, experiment or folder here; if the remote has it: `{fetch}`, "
        f"for an experiment `dvc exp pull origin {branch}`"
    )


def _line(*arguments: str) -> str | None:
    return (git(*arguments) or b"").decode().strip() or None
