"""`python -m apps.gate [--github]`: fail unless dvc.lock and metrics/ are those of this tree.

It takes about a second and needs neither cache nor remote. `--github` writes each stale stage as an
annotation at its line in dvc.yaml.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from apps.printing import print_utf8
from apps.review.freshness import DVC_YAML, Stale, stale_stages
from apps.review.page import visible
from pipeline.errors import UserError

CURE = "run `dvc repro`, then commit dvc.lock and metrics/"


def main(arguments: Sequence[str]) -> int:
    """Name the stale stages; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--github", action="store_true", help="write annotations")
    given = parser.parse_args(arguments)
    try:
        stale = stale_stages(Path())
    except UserError as error:
        if given.github:
            print(annotation(1, "DVC", str(error)))
        print(f"error: {error}", file=sys.stderr)
        return 1
    for stage in stale:
        print(_annotated(stage) if given.github else _plain(stage))
    if not stale:
        print("dvc.lock and metrics/ are those of this tree.")
    return 1 if stale else 0


def annotation(line: int, title: str, message: str) -> str:
    """A GitHub workflow command; what would end it, or a part of it, is escaped."""
    title = visible(title).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    message = visible(message).replace("%", "%25")
    return f"::error file={DVC_YAML},line={line},title={title}::{message}"


def _annotated(stale: Stale) -> str:
    return annotation(stale.line, f"{stale.stage} is stale", f"{stale.why}; {CURE}")


def _plain(stale: Stale) -> str:
    return f"{DVC_YAML}:{stale.line}: {visible(stale.stage)} is stale: {visible(stale.why)}; {CURE}"


if __name__ == "__main__":
    print_utf8()
    gc.disable()  # it ends before there is anything to collect; to look for it took a third longer
    sys.exit(main(sys.argv[1:]))
