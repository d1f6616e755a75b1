"""A model in a folder: `config.json` and `model.safetensors`; nothing pickled, damage named.

Weights are kept in 16 bits and computed with in 32: half the bytes, and every later stage, the
judges of the run and whoever it is shared with use the very same numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.errors import UserError
from pipeline.files import replacing
from pipeline.params import Section, tuples
from pipeline.sealing import digest, sealed, unseal

M = TypeVar("M", bound=nn.Module)

CONFIG, WEIGHTS = "config.json", "model.safetensors"
# Of a tensor's norm, what 16 bits may lose. Rounding alone takes 0.0002; more is lost where numbers
# lie below the smallest that float16 has, and everything above the largest, 65504: such tensors
# (averages of counts, say) stay as they are.
LOST = 1e-3


def kept(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as they are stored, on the CPU: float32 ones as float16, unless that loses much.

    What was stored and read again as float32 is stored in the same bytes.
    """
    return {name: _kept(tensor.detach().cpu().contiguous()) for name, tensor in tensors.items()}


def _kept(tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.float32:
        return tensor
    half = tensor.half()
    lost = (half.float() - tensor).norm()  # NaN for what is infinite, which is not <= anything
    return half if bool(lost <= LOST * tensor.norm()) else tensor


def round_as_kept(model: nn.Module) -> None:
    """Give a model the weights that it will have when it is loaded again.

    For what is measured or chosen by a model before it is saved.
    """
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(kept({name: tensor})[name])


def save_model(model: nn.Module, config: Section, folder: Path | str) -> None:
    """Write `model` and its `config` to `folder`, which appears when it is whole."""
    folder = Path(folder)
    with replacing(folder) as aside:
        aside.mkdir()
        weights = aside / WEIGHTS
        save_file(kept(model.state_dict()), weights)
        entry = {
            "model": type(model).__name__,
            "config": config.model_dump(),
            "blake2b": digest(weights),  # safetensors has no checksum of its own
        }
        about = json.dumps(sealed(entry), indent=2) + "\n"
        (aside / CONFIG).write_text(about, encoding="utf-8", newline="\n")


def load_model(folder: Path | str, build: type[M], **given: Any) -> M:
    """Build a model from `folder`, in evaluation mode.

    Args:
        build: the model's class; it takes what its config holds by name.
        given: what the class takes besides.

    Raises:
        UserError: a file is missing, damaged or of another model.
    """
    folder = Path(folder)
    about = folder / CONFIG
    try:
        entry = _read_config(about)
        name, values, whole = entry["model"], entry["config"], entry["blake2b"]
        if name != build.__name__:
            raise UserError(f"{about}: holds a {name}, not a {build.__name__}")
        weights = folder / WEIGHTS
        if digest(weights) != whole:
            raise UserError(f"{weights}: damaged, by the checksum in {CONFIG}; make it again")
        model = build(**tuples(values), **given)
        model.load_state_dict(load_file(weights))
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; run the stage that makes it") from None
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        # The checksums were right, or there was none: another version's file, or not ours.
        raise UserError(f"{about}: no model that this version can load: {reason}") from None
    return model.eval()


def fingerprint(model: nn.Module) -> str:
    """What tells a model's weights, as they are stored, from any others': 32 hexadecimal digits."""
    found = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(kept(model.state_dict()).items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def model_name(folder: Path) -> str:
    """The class of the model that a folder holds, as its config says.

    Raises:
        UserError: there is none, or the config is damaged.
    """
    about = folder / CONFIG
    try:
        return str(_read_config(about)["model"])
    except FileNotFoundError:
        raise UserError(f"{about}: no such file; run the stage that makes it") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{about}: damaged; make the model again") from None


def _read_config(about: Path) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(about.read_text(encoding="utf-8"))
    if not unseal(entry):
        raise UserError(f"{about}: damaged (its checksum differs); make the model again")
    return entry
