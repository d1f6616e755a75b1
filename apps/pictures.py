"""`codebrush pictures`: the pictures that a run learns from, as files in a folder to look at."""

from __future__ import annotations

from pathlib import Path

from apps.folders import new_folder
from pipeline.data.picture_shards import pictures_in, shards_in
from stages import layout


def unpack(run: Path, to: Path) -> int:
    """Write every picture of a run's shards into the folder `to`, as it came; returns how many.

    Raises:
        UserError: there are none, one is damaged, or `to` already holds something.
    """
    count = 0
    shards = shards_in(run / layout.IMAGES)
    with new_folder(to) as aside:
        for shard in shards:
            for name, data in pictures_in(shard):
                (aside / name).write_bytes(data)
                count += 1
    return count
