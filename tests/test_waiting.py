"""A user's script waits as a stage does, whichever of torch and the library it imports first."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tiny import ROOT


def said(script: str, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**kept, **environment},
    )  # fmt: skip
    return done.stdout.strip()


ASKED = (
    "; import os, sys, threading; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules,"
    " *(t.name for t in threading.enumerate()[1:]))"
)


@pytest.mark.parametrize(
    ("script", "environment", "expected"),
    [
        ("import pipeline", {}, "1000 False"),
        ("import pipeline", {"GOMP_SPINCOUNT": "5"}, "5 False"),
        ("import pipeline", {"OMP_WAIT_POLICY": "active"}, "None False"),
        ("import torch, pipeline, pipeline.waiting as w; w.wait_briefly()", {},
         "None True sleeping team"),
    ],
)  # fmt: skip
def test_how_threads_wait_is_set_before_torch_is_loaded_or_made_up_for(
    script: str, environment: dict[str, str], expected: str
) -> None:
    assert said(script + ASKED, **environment) == expected


def test_the_sleeping_team_leaves_the_threads_that_compute_as_they_are() -> None:
    script = (
        "import torch; torch.set_num_threads(2); import pipeline;"
        "print(torch.get_num_threads(), torch.linspace(0, 1, 99_999).square().sum().item())"
    )
    alone = "import torch; torch.set_num_threads(2);" + script.split("import pipeline;")[1]
    assert said(script) == said(alone)
