"""The doctor's round: findings first, then the time that a run takes."""

from __future__ import annotations

from pathlib import Path

from apps.doctor.finding import Finding
from apps.doctor.findings import findings
from apps.doctor.timing import timings
from stages import layout


def examine(root: Path, *, measure: bool) -> bool:
    """Print what is found, a line each; returns whether a run would get through.

    Args:
        measure: also do a few steps of each training.
    """
    well = True
    for finding in findings(root):
        well = _told(finding) and well
    if measure and well:
        print("       measuring a few steps of each training …", flush=True)
        for finding in timings(root / layout.PARAMS):
            well = _told(finding) and well
    print("A run should get through." if well else "A run would fail: mend what FAILS.")
    return well


def _told(finding: Finding) -> bool:
    """Print it; returns whether it is nothing that fails."""
    print(finding, flush=True)
    return not finding.fails
