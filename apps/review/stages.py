"""Which stages ran again between two runs, and why: what their entries in dvc.lock say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.review.settings import Changed, changed, leaves, read_mapping
from apps.review.trees import Tree

LOCK = "dvc.lock"


@dataclass(frozen=True)
class Rerun:
    """A stage whose entry differs.

    Attributes:
        state: "new", "removed" or "ran again".
        params: settings that it reads and that differ.
        data, code: paths that it reads and whose content differs, or that it did not read before.
        command: has its command changed?
        outs: paths of what it makes whose content differs.
        made: how many paths it makes.
    """

    stage: str
    state: str
    params: list[Changed]
    data: list[str]
    code: list[str]
    command: bool
    outs: list[str]
    made: int

    @property
    def unexplained(self) -> bool:
        """Did it make something else out of the very same inputs?"""
        return self.state == "ran again" and not (
            self.params or self.data or self.code or self.command
        )


def reruns(before: Tree, after: Tree) -> list[Rerun]:
    """The stages whose entries in dvc.lock differ, in the order of `after`, removed ones last.

    Raises:
        UserError: a lock is no YAML.
    """
    old, new = (entries(tree) for tree in (before, after))
    found = (_rerun(stage, old.get(stage), new.get(stage)) for stage in {**new, **old})
    return [rerun for rerun in found if rerun is not None]


def entries(tree: Tree) -> dict[str, Any]:
    """The stages of a run's dvc.lock by name; whatever else stands there is left out."""
    stages = _mapping((read_mapping(tree, LOCK) or {}).get("stages"))
    return {str(name): _mapping(entry) for name, entry in stages.items()}


def _rerun(stage: str, old: Any, new: Any) -> Rerun | None:
    made = dict(hashes(new or old, "outs"))
    if old is None or new is None:
        state = "new" if old is None else "removed"
        return Rerun(stage, state, [], [], [], False, list(made), len(made))
    deps = list(_differ(dict(hashes(old, "deps")), dict(hashes(new, "deps"))))
    rerun = Rerun(
        stage,
        "ran again",
        list(changed(dict(_params(old)), dict(_params(new)))),
        [path for path in deps if not path.endswith(".py")],
        [path for path in deps if path.endswith(".py")],
        old.get("cmd") != new.get("cmd"),
        list(_differ(dict(hashes(old, "outs")), made)),
        len(made),
    )
    return None if rerun.unexplained and not rerun.outs else rerun


def hashes(entry: Any, kind: str) -> Iterator[tuple[str, str]]:
    """Path and hash of each of a stage's `deps` or `outs`."""
    listed = entry.get(kind)
    for item in listed if isinstance(listed, list) else ():
        facts = _mapping(item)
        yield str(facts.get("path")), str(facts.get("md5"))


def _params(entry: Any) -> Iterator[tuple[str, Any]]:
    for values in _mapping(entry.get("params")).values():
        yield from leaves(_mapping(values))


def _differ(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    return (path for path in {**new, **old} if old.get(path) != new.get(path))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
