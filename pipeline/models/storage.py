"""A model in a folder: `config.json` and `model.safetensors`; nothing pickled, damage named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pipeline.errors import UserError
from pipeline.files import replacing
from pipeline.sealing import digest, sealed, unseal

M = TypeVar("M", bound=nn.Module)


def save_model(model: nn.Module, config: Any, folder: Path | str) -> None:
    """Write `model` and its `config` (a dataclass) to `folder`, which appears when it is whole."""
    folder = Path(folder)
    with replacing(folder) as aside:
        aside.mkdir()
        weights = aside / "model.safetensors"
        save_file({k: v.cpu().contiguous() for k, v in model.state_dict().items()}, weights)
        entry = {
            "model": type(model).__name__,
            "config": dataclasses.asdict(config),
            "blake2b": digest(weights),  # safetensors has no checksum of its own
        }
        about = json.dumps(sealed(entry), indent=2) + "\n"
        (aside / "config.json").write_text(about, encoding="utf-8")


def load_model(folder: Path | str, config: type, build: Callable[[Any], M]) -> M:
    """Build a model from `folder`, in evaluation mode.

    Args:
        config: the dataclass that `config.json` holds.
        build: the model's class, called with the config.

    Raises:
        UserError: a file is missing, damaged or of another model.
    """
    folder = Path(folder)
    about = folder / "config.json"
    try:
        entry = json.loads(about.read_text(encoding="utf-8"))
        name, values, whole = entry["model"], entry["config"], entry["blake2b"]
        wanted = getattr(build, "__name__", "")
        if name != wanted:
            raise UserError(f"{about}: holds a {name}, not a {wanted}")
        if not unseal(entry):
            raise UserError(f"{about}: damaged (its checksum differs); make the model again")
        weights = folder / "model.safetensors"
        if digest(weights) != whole:
            raise UserError(f"{weights}: damaged, by the checksum in config.json; make it again")
        model = build(config(**_tuples(values)))
        model.load_state_dict(load_file(weights))
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; run the stage that makes it") from None
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        # The checksums were right, or there was none: another version's file, or not ours.
        raise UserError(f"{about}: no model that this version can load: {reason}") from None
    return model.eval()


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
