"""The doctor's round: findings first, then the time that a run takes."""

from __future__ import annotations

from pathlib import Path

from apps.doctor.findings import findings
from apps.environment import compute_as_judged
from pipeline.params import read_yaml
from stages import layout


def examine(root: Path, *, measure: bool) -> bool:
    """Print what is found, a line each; returns whether a run would get through.

    Args:
        measure: also do a few steps of each training, and import what they need.
    """
    well = True
    for finding in findings(root):
        print(finding, flush=True)
        well = well and not finding.fails
    if measure and well:
        _print_speed(root / layout.PARAMS)
    print("A run should get through." if well else "A run would fail: mend what FAILS.")
    return well


def _print_speed(params: Path) -> None:
    values = read_yaml(params)
    compute_as_judged(values["threads"], values["instruction_set"])
    print("       measuring a few steps of each training …", flush=True)
    import torch

    from apps.doctor.speed import training_seconds

    build, capability = torch.__version__, torch.backends.cpu.get_cpu_capability()
    print(f"   ok  torch: {build}, computing with {capability}", flush=True)
    total = 0.0
    for name, seconds in training_seconds(params):
        if seconds is None:
            print(f" note  time: {name} goes on from a checkpoint; its sizes are not known here")
            continue
        total += seconds
        print(f"   ok  time: {name} trains for about {_minutes(seconds)}", flush=True)
    print(
        f"   ok  time: {_minutes(total)} of training on this machine as busy as it is now; data, "
        "judge, painting and judging come on top"
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
