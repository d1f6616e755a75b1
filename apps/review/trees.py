"""Where a run's files are: in a commit, or in a folder that is a checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from apps.review.git import commit_of, git, merge_base, unknown
from pipeline.errors import UserError

WORKSPACE = "workspace"


class Tree(Protocol):
    """The files of one run."""

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def commit(self) -> str | None:
        """The commit that holds it; None for a folder."""

    def read(self, path: str) -> bytes | None:
        """A file's content, None where it is not there; paths are relative, with slashes."""

    def names(self, folder: str) -> list[str]:
        """The paths of a folder's files, sorted."""


@dataclass(frozen=True)
class Commit:
    """A run in git."""

    name: str
    commit: str

    def read(self, path: str) -> bytes | None:
        return git("cat-file", "blob", f"{self.commit}:{path}")

    def names(self, folder: str) -> list[str]:
        listed = git("ls-tree", "-z", self.commit, f"{folder}/") or b""
        entries = [entry.partition(b"\t") for entry in listed.split(b"\0") if entry]
        files = [path for facts, _, path in entries if facts.startswith(b"100")]  # no links
        return sorted(path.decode("utf-8", "surrogateescape") for path in files)


@dataclass(frozen=True)
class Folder:
    """A run as it lies in a checkout."""

    name: str
    root: Path
    commit: str | None = None

    def read(self, path: str) -> bytes | None:
        file = self.root / path
        # A link could lead out of the checkout, to what nobody meant to publish.
        inside = file.resolve().is_relative_to(self.root.resolve())
        return file.read_bytes() if inside and file.is_file() else None

    def names(self, folder: str) -> list[str]:
        found = (self.root / folder).iterdir() if (self.root / folder).is_dir() else ()
        return sorted(
            f"{folder}/{file.name}" for file in found if file.is_file() and not file.is_symlink()
        )


def find_tree(name: str) -> Tree:
    """The run called `name`: "workspace", a checkout's folder, a revision or an experiment.

    Raises:
        UserError: there is none; it says what to fetch.
    """
    if name == WORKSPACE:
        return Folder(name, Path())
    if (Path(name) / "dvc.yaml").is_file():
        return Folder(name, Path(name))
    if commit := commit_of(name):
        return Commit(name, commit)
    raise unknown(name)


def base_of(before: str, after: Tree) -> Tree:
    """The run that `after` set out from: where it parted from the branch `before`.

    Raises:
        UserError: `after` is another checkout, or git cannot tell.
    """
    if after.commit is None and after.name != WORKSPACE:
        raise UserError(f"{after.name}: a folder has no merge base here; compare it with a run")
    commit = commit_of(before)
    if commit is None:
        raise unknown(before)
    head = after.commit or commit_of("HEAD")
    if head is None:
        raise unknown("HEAD")
    short = commit[:10] if before == commit else before
    return Commit(f"merge base with {short}", merge_base(commit, head))
