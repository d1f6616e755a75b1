"""`python -m pipeline.profile NAME`: print profiles/NAME.yaml as `-S` flags for `dvc exp run`.

A profile holds only what differs from params.yaml, which stays the single truth: an experiment
records plain params, and a further `-S` after the profile's still wins.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.params import read_yaml

FOLDER = Path("profiles")


def flags(overlay: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[str]:
    """Yield `-S`, `key=value` for every leaf of `overlay`.

    Raises:
        UserError: a key that `params` does not have.
    """
    for key, value in _leaves(overlay, params, at=""):
        # Hydra's grammar, which DVC reads these with, takes JSON's words, numbers and lists.
        yield from ("-S", f"{key}={_hydra(value)}")


def _leaves(
    overlay: Mapping[str, Any], params: Mapping[str, Any], *, at: str
) -> Iterator[tuple[str, Any]]:
    for key, value in overlay.items():
        where = f"{at}{key}"
        if key not in params:
            raise UserError(f"profile: {where}: params.yaml has no such key")
        if isinstance(value, Mapping) and isinstance(params[key], Mapping):
            yield from _leaves(value, params[key], at=f"{where}.")
        else:
            yield where, value


def _hydra(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(_hydra(v) for v in value)}]"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return json.dumps(value)


def main(arguments: list[str]) -> int:
    """Print the flags of the one profile named; returns the exit status."""
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    try:
        if len(arguments) != 1 or arguments[0] not in known:
            given = " ".join(arguments) or "nothing"
            raise UserError(f"profile {given!r}: expected one of {', '.join(known)}")
        overlay = read_yaml(FOLDER / f"{arguments[0]}.yaml")
        printed = list(flags(overlay, read_yaml(Path("params.yaml"))))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    # The shell splits what `$(…)` prints at spaces and takes quotes as they stand.
    if spaced := [flag for flag in printed if any(c.isspace() for c in flag)]:
        print(f"error: a value with a space cannot be passed on: {spaced[0]}", file=sys.stderr)
        return 1
    print(" ".join(printed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
