"""params.yaml: one section a stage, parsed into a frozen, typed object that lives beside its owner.

There are no defaults in the code: DVC could not see them, and would miss a change.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML, YAMLError

from pipeline.data.texts import join_surrogates
from pipeline.errors import UserError


class Section(BaseModel):
    """Base of every section's schema: strict types, finite numbers, no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Build one from values given in code.

        Raises:
            ValueError: one line that names every bad one.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            said = "; ".join(_explain("", cls, e) for e in error.errors())
            raise ValueError(f"{cls.__name__}: {said}") from None

    def values_of(self, part: type[Section]) -> dict[str, Any]:
        """The values of the fields that `part`, a base of this section, has."""
        return {name: getattr(self, name) for name in part.model_fields}


Precision = Literal["fp32", "bf16"]
# The range that NumPy, scikit-learn and torch share. Any, because mypy takes it for no type.
SEED: Any = Annotated[int, Field(strict=True, ge=0, lt=1 << 32)]
T = TypeVar("T")


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Read a YAML mapping as DVC reads it (YAML 1.2: `1e-05` is a number, `off` a word)."""
    path = Path(path)
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values, found {type(content).__name__}")
    return content


def load_section(path: Path | str, key: str, schema: type[T]) -> T:
    """Parse the value at `key` of the YAML file `path` as `schema` (a `Section`, or a plain type).

    Args:
        key: a section, or a value in one, as DVC writes it: `data.source`.

    Raises:
        UserError: one line that names every bad key, its value and what is allowed.
    """
    path = Path(path)
    content: Any = read_yaml(path)
    for part in key.split("."):
        if not isinstance(content, dict) or part not in content:
            raise UserError(f"{path}: section {key!r} is missing")
        content = content[part]
    try:
        # From YAML a tuple arrives as a list, which strict mode takes for JSON alone.
        return TypeAdapter(schema).validate_python(tuples(_texts(content, f"{path}: {key}")))
    except ValidationError as error:
        said = "; ".join(f"{path}: {_explain(key, schema, e)}" for e in error.errors())
        raise UserError(said) from None


def tuples(value: Any) -> Any:
    """The value with tuples for lists, at every depth: what YAML and JSON know as lists."""
    if isinstance(value, dict):
        return {k: tuples(v) for k, v in value.items()}
    return tuple(tuples(v) for v in value) if isinstance(value, list) else value


def _texts(value: Any, where: str) -> Any:
    """The value with texts as any file can hold them, for they are written to some."""
    if isinstance(value, dict):
        return {k: _texts(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [_texts(v, f"{where}.{i}") for i, v in enumerate(value)]
    try:
        return join_surrogates(value) if isinstance(value, str) else value
    except ValueError as error:
        raise UserError(f"{where} = {value!r}: {error}") from None


def _explain(key: str, schema: Any, error: Any) -> str:
    where = ".".join(filter(None, [key, *(str(part) for part in error["loc"])]))
    if error["type"] == "extra_forbidden":
        fields = list(getattr(schema, "model_fields", {})) if len(error["loc"]) == 1 else []
        near = difflib.get_close_matches(str(error["loc"][-1]), fields, n=1)
        allowed = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(fields)}"
        return f"{where}: unknown key" + (f"; {allowed}" if fields else "")
    if error["type"] == "missing":
        return f"{where}: missing"
    message = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], dict):  # a rule between several keys names them itself
        return f"{where}: {message}" if where else message
    return f"{where} = {error['input']!r}: {message}"
