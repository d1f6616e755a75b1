"""torchvision can be imported, whatever torch it was built for, by those who need it alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchvision_imports_after_ours_and_what_imports_it_does_too() -> None:
    code = (
        "import pipeline, importlib.util, sys\n"
        "assert importlib.util.find_spec('torchvision') and 'torch' not in sys.modules\n"
        "import torchvision.ops\n"
        "import torchmetrics.functional.image\n"
        "print(torchvision.ops.nms.__name__, torchvision.__version__ != '')"
    )
    assert run(code) == "nms True"


def test_asking_twice_puts_one_finder_in_place_and_loads_no_torch() -> None:
    code = (
        "import sys\n"
        "from pipeline.torchvision_ops import BeforeTorchvision, declare_before_torchvision\n"
        "declare_before_torchvision(); declare_before_torchvision()\n"
        "finders = [f for f in sys.meta_path if isinstance(f, BeforeTorchvision)]\n"
        "print(len(finders), 'torch' in sys.modules)"
    )
    assert run(code) == "1 False"


def test_operators_that_are_there_already_are_left_alone(tmp_path: Path) -> None:
    code = (
        "import torch\n"
        "library = torch.library.Library('torchvision', 'DEF')\n"
        "schema = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'\n"
        "library.define('nms' + schema); library.define('qnms' + schema)\n"
        "library.impl('nms', lambda d, s, t: s + 1, 'CPU')\n"
        "from pathlib import Path\n"
        "from pipeline import torchvision_ops\n"
        f"torchvision_ops.declare_missing_operators(Path({str(tmp_path)!r}))\n"
        "print(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5).item(),\n"
        "      len(torchvision_ops._declared))"
    )
    assert run(code) == "1.0 0"


def test_a_library_that_declares_one_of_them_keeps_it(tmp_path: Path) -> None:
    """torchvision 0.26 beside its own torch has `nms` and no `qnms`: declaring both ended BLIP."""
    code = (
        "import torch\n"
        "library = torch.library.Library('torchvision', 'DEF')\n"
        "schema = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'\n"
        "library.define('nms' + schema)\n"
        "library.impl('nms', lambda d, s, t: s + 1, 'CPU')\n"
        "from pathlib import Path\n"
        "from pipeline import torchvision_ops\n"
        f"torchvision_ops.declare_missing_operators(Path({str(tmp_path)!r}))\n"
        "print(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5).item(),\n"
        "      hasattr(torch.ops.torchvision, 'qnms'))"
    )
    assert run(code) == "1.0 True"
