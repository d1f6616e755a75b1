"""Are dvc.lock and metrics/ those of this tree? Asked of DVC, without cache, remote or training.

`dvc repro --dry --allow-missing` says which stages would run and `dvc status` why. Both in one, in
this process, take a second instead of five: DVC is started once, and what many stages read (this
project's code) is looked at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.errors import UserError

DVC_YAML = "dvc.yaml"
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

    Beside those that DVC would run these are some that it lets pass: frozen ones, and ones that
    lack a file which is in git.

    Raises:
        UserError: DVC cannot say.
    """
    path = root / DVC_YAML
    try:
        from dvc.repo import Repo  # here, for it takes a quarter of a second

        logging.getLogger("dvc").setLevel(logging.CRITICAL)  # neither warnings nor bars
        with Repo(str(root)) as repo, repo.lock:
            stages = repo.index.stages
            reasons = _Reasons(stages)
            why = {stage.addressing: said for stage in stages if (said := reasons.of(stage))}
        lines = _lines(path) if why else {}
    except ImportError:
        raise UserError("dvc is not installed") from None
    except Exception as error:  # of many kinds: a branch may hold any dvc.yaml, lock and params
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: DVC says: {said}") from None
    if not stages:
        raise UserError(f"{path}: no pipeline")
    found = [Stale(stage, lines.get(stage.partition("@")[0], 1), why[stage]) for stage in why]
    return sorted(found, key=lambda stale: stale.line)


class _Reasons:
    """Why a stage is stale, by DVC's own comparison with dvc.lock."""

    def __init__(self, stages: Sequence[Any]) -> None:
        self._made = [out for stage in stages for out in stage.outs if out.use_cache]
        self._states: dict[Any, Any] = {}
        self._keys: dict[str, set[str]] = {}  # of each params file: what all stages read
        for dep in (dep for stage in stages for dep in stage.deps if _has_params(dep)):
            self._keys.setdefault(dep.fs_path, set()).update(dep.params)
        self._values: dict[str, Any] = {}

    def of(self, stage: Any) -> str:
        """Every reason, in one line; "" for none."""
        said = [*_itself(stage), *self._deps(stage), *_outs(stage)]
        said.sort(key=lambda word: ".py " in word)  # params and data say more than code
        more = f" and {len(said) - MOST} more" if len(said) > MOST else ""
        return ", ".join(said[:MOST]) + more

    def _deps(self, stage: Any) -> Iterator[str]:
        for dep in () if stage.frozen else stage.deps:
            state = self._state(dep)
            if state == "deleted":
                state = self._without(dep)
            if isinstance(state, dict):  # params of a file
                yield from (f"{dep.def_path}: {key} {value}" for key, value in state.items())
            elif state:
                yield f"{dep.def_path} {state}"

    def _state(self, dep: Any) -> Any:
        """What DVC says of a dep, of whose file it has made up its mind before, perhaps."""
        if _has_params(dep):
            dep.read_params = partial(self._params, dep)
            return _state(dep)
        key = dep.fs_path, dep.hash_info
        if key not in self._states:
            self._states[key] = _state(dep)
        return self._states[key]

    def _params(self, dep: Any) -> dict[str, Any]:
        """The values of `dep.params`, as DVC's `read_params` reads them: parsed once for all."""
        from dvc.dependency.param import read_param_file

        path = dep.fs_path
        if path not in self._values:
            keys = sorted(self._keys[path])
            self._values[path] = read_param_file(dep.fs, path, keys, flatten=True)
        return {key: self._values[path][key] for key in dep.params if key in self._values[path]}

    def _without(self, dep: Any) -> str:
        """The state of a dep that is not there: a fresh checkout lacks what a stage makes."""
        made = [out for out in self._made if dep.fs.isin_or_eq(dep.fs_path, out.fs_path)]
        if not made or not dep.hash_info:
            return "deleted"
        same = all(out.hash_info == dep.hash_info for out in made if out.fs_path == dep.fs_path)
        return "" if same else "modified"


def _has_params(dep: Any) -> bool:
    return bool(getattr(dep, "params", None))  # without names it is the whole file, read as it is


def _itself(stage: Any) -> Iterator[str]:
    if stage.frozen and not stage.is_import:
        yield "frozen, so DVC does not look at what it reads"
    if stage.changed_stage():
        yield "changed command"
    if stage.is_callback or stage.always_changed:
        yield "always changed"


def _outs(stage: Any) -> Iterator[str]:
    for out in stage.outs:
        state = _state(out)
        # What git holds (metrics, plots: `cache: false`) is there in a fresh checkout, too.
        if state and not (state in ABSENT and out.use_cache and out.hash_info):
            yield f"{out.def_path} {state}"


def _state(entry: Any) -> Any:
    """What DVC says of a dep or an out: a word, a word for each param, or None for no change."""
    return next(iter(entry.status().values()), None)


def _lines(path: Path) -> dict[str, int]:
    """The line of each stage in dvc.yaml."""
    for key, value in YAML(typ="safe").compose(path.read_text(encoding="utf-8")).value:
        if key.value == "stages":
            return {name.value: name.start_mark.line + 1 for name, _ in value.value}
    return {}
