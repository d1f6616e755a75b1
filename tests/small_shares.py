"""A stage by its launcher, with shards and shares so small that a tiny project has several.

    python tests/small_shares.py STAGE [--stuck]

With `--stuck` it says "stuck" at its second share, and never ends it.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import pipeline.codes.encode
import pipeline.data.cuts
import stages.dump_codes
import stages.generate
from pipeline.evaluation.maps import Maps
from pipeline.shares import Shares
from stages.__main__ import main

pipeline.data.cuts.SHORTEST, pipeline.data.cuts.LONGEST = 8, 24
pipeline.codes.encode.BATCH, stages.dump_codes.SHARE = 8, 2
stages.generate.SHARE = 16
OF_EACH = 8  # rows of whatever is judged
rows, texts = Maps.rows, Maps.texts
Maps.rows = lambda *asked, of_each: rows(*asked, of_each=OF_EACH)  # type: ignore[method-assign]
Maps.texts = lambda *asked, of_each: texts(*asked, of_each=OF_EACH)  # type: ignore[method-assign]


def get_stuck(at: int) -> None:
    """Have the share of this number, from 0 on, never end."""
    compute, numbers = Shares._compute, itertools.count()

    def stuck(self: Shares, file: Path) -> None:
        if next(numbers) == at:
            print("stuck", flush=True)
            time.sleep(600)
        compute(self, file)

    Shares._compute = stuck  # type: ignore[method-assign]


if __name__ == "__main__":
    if "--stuck" in sys.argv[2:]:
        get_stuck(1)
    sys.exit(main(sys.argv[1:2]))
