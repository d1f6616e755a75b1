"""YAML of a run that nobody has looked at yet, and what in it differs from another run's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.composer import Composer
from ruamel.yaml.events import AliasEvent

from apps.review.trees import Tree
from pipeline.errors import UserError

PARAMS = "params.yaml"
DEEPEST = 20  # levels of nesting
T = TypeVar("T")


class Changed(NamedTuple):
    """One setting of two runs, as text; None where a run does not have it."""

    key: str
    before: str | None
    after: str | None


class _Plain(Composer):
    """Without aliases: a few lines of them unfold to more values than memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.parser.check_event(AliasEvent):
            raise YAMLError("aliases are not read here")
        return super().compose_node(parent, index)


def read_mapping(tree: Tree, path: str) -> dict[str, Any] | None:
    """The YAML mapping at `path` of a run; None where the file is not there.

    Raises:
        UserError: it is something else.
    """
    content = tree.read(path)
    if content is None:
        return None
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Plain
    try:
        found = yaml.load(content.decode("utf-8"))
    except (YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{tree.name}: {path}: not plain YAML: {why}") from None
    if not isinstance(found, dict):
        raise UserError(f"{tree.name}: {path}: expected keys and values")
    return found


def changed_params(before: Tree, after: Tree) -> list[Changed]:
    """The settings of params.yaml that differ, in the order of `after`, removed ones last."""
    old, new = (
        unique(leaves(read_mapping(tree, PARAMS) or {}), where=f"{tree.name}: {PARAMS}")
        for tree in (before, after)
    )
    return list(changed(old, new))


def unique(pairs: Iterable[tuple[str, T]], *, where: str) -> dict[str, T]:
    """The pairs as a mapping, in which none hides another (`a.b: 1` beside `a: {b: 2}`).

    Raises:
        UserError: two have one name.
    """
    found: dict[str, T] = {}
    for key, value in pairs:
        if key in found:
            raise UserError(f"{where} has two values of {key!r}")
        found[key] = value
    return found


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Changed]:
    """The values that differ, in the order of `after`, removed ones last."""
    for key in [*after, *(key for key in before if key not in after)]:
        there = key in before, key in after
        if there != (True, True) or not _same(before[key], after[key]):
            yield Changed(
                key,
                _text(before[key]) if there[0] else None,
                _text(after[key]) if there[1] else None,
            )


def leaves(mapping: Mapping[Any, Any], *, under: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as dotted keys and values; a list is one value.

    Raises:
        UserError: they are nested too deep.
    """
    if under.count(".") > DEEPEST:
        raise UserError(f"{PARAMS}: nested deeper than {DEEPEST} levels")
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, under=f"{under}{key}.")
        else:
            yield f"{under}{key}", value


def _same(before: Any, after: Any) -> bool:
    # 1 == True == 1.0 in Python, but not for who reads the setting; NaN is itself here.
    return type(before) is type(after) and repr(before) == repr(after)


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else repr(value)
