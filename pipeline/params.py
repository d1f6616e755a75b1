"""params.yaml: one section a stage, parsed into a frozen, typed object that lives beside its owner.

There are no defaults in the code: DVC could not see them, and would miss a change.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML, YAMLError

from pipeline.data.texts import join_surrogates
from pipeline.errors import UserError


class Section(BaseModel):
    """Base of every section's schema: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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

    Raises:
        UserError: one line that names every bad key, its value and what is allowed.
    """
    path = Path(path)
    content = read_yaml(path)
    if key not in content:
        raise UserError(f"{path}: section {key!r} is missing")
    try:
        # From YAML a tuple can only arrive as a list, which strict mode takes for JSON alone.
        return TypeAdapter(schema).validate_python(_plain(content[key], f"{path}: {key}"))
    except ValidationError as error:
        raise UserError("; ".join(_explain(path, key, schema, e) for e in error.errors())) from None


def _plain(value: Any, where: str) -> Any:
    """Lists as tuples, and texts as any file can hold them, for they are written to some."""
    if isinstance(value, dict):
        return {k: _plain(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return tuple(_plain(v, f"{where}.{i}") for i, v in enumerate(value))
    try:
        return join_surrogates(value) if isinstance(value, str) else value
    except ValueError as error:
        raise UserError(f"{where} = {value!r}: {error}") from None


def _explain(path: Path, key: str, schema: Any, error: Any) -> str:
    where = ".".join([key, *(str(part) for part in error["loc"])])
    if error["type"] == "extra_forbidden":
        fields = list(getattr(schema, "model_fields", {})) if len(error["loc"]) == 1 else []
        near = difflib.get_close_matches(str(error["loc"][-1]), fields, n=1)
        allowed = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(fields)}"
        return f"{path}: {where}: unknown key" + (f"; {allowed}" if fields else "")
    if error["type"] == "missing":
        return f"{path}: {where}: missing"
    message = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], dict):  # a rule between several keys names them itself
        return f"{path}: {where}: {message}"
    return f"{path}: {where} = {error['input']!r}: {message}"
