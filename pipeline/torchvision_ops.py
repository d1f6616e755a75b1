"""Makes `import torchvision` work where its compiled half does not fit the torch beside it.

torchvision declares its operators in a compiled library. Its wheels on PyPI are built for one kind
of torch; beside another kind (a CPU-only torch, as on most laptops and CI machines) that library
cannot be loaded. torchvision forgives this, except in one place: it gives `nms` and `qnms` a shape
rule at import, and torch refuses a rule for an operator that nobody declared. So
`import torchvision` fails, and with it torchmetrics, lpips and transformers' image processors, none
of which we ask for either operator. Declaring the two, without an implementation, is all that the
import needs; a call of them still fails, and says so.

torchvision is imported by others, deep in their own modules, so the declaration waits in Python's
import system until somebody asks for it: whoever does not, does not pay for importing torch.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

OPERATORS = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

# torch forgets a declaration together with the object that made it.
_declared: list[Any] = []


def declare_before_torchvision() -> None:
    """Have the missing operators declared when torchvision is first imported; costs nothing before.

    A second call changes nothing, nor does any with a healthy torchvision or with none.
    """
    if "torchvision" not in sys.modules and not any(
        isinstance(finder, BeforeTorchvision) for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, BeforeTorchvision())


class BeforeTorchvision(MetaPathFinder):
    """Finds torchvision as Python would, with the declaration put before its first line."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of torchvision; None for every other module, and if it is not installed."""
        if fullname != "torchvision":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = DeclaringLoader(spec.loader.name, spec.loader.path)
        return spec


class DeclaringLoader(importlib.machinery.SourceFileLoader):
    """Runs torchvision's source after the declaration: asking whether it is there runs neither."""

    def exec_module(self, module: ModuleType) -> None:
        """Declare, then run the module."""
        declare_missing_operators(Path(self.path).parent)
        super().exec_module(module)


def declare_missing_operators(folder: Path) -> None:
    """Declare those of `nms` and `qnms` that are missing, where torchvision's compiled library (in
    `folder`) cannot be loaded. One that can is left alone: its releases differ in what they declare
    (0.26 has no `qnms`), and fit their own import.
    """
    import torch

    missing = [name for name in OPERATORS if not hasattr(torch.ops.torchvision, name)]
    if not missing or _load_compiled(folder):
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in missing:
        library.define(f"{name}{SCHEMA}")
    _declared.append(library)


def _load_compiled(folder: Path) -> bool:
    """Load the library as torchvision's import will (a library is loaded only once)."""
    import torch

    for file in sorted(folder.glob("_C*")):
        try:
            torch.ops.load_library(file)
        except OSError:  # built for another torch: a library or a symbol of it is missing
            continue
        return True
    return False
