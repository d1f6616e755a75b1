"""The free space of each disk that a run writes to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from apps.doctor.finding import Finding

LEAST = 1.0  # GB


def disks(places: Mapping[str, Path]) -> Iterator[Finding]:
    """Yield a line for each disk, with what lies on it.

    Args:
        places: folders by what they hold; they need not be there yet.
    """
    on: dict[int, tuple[Path, list[str]]] = {}
    for name, place in places.items():
        above = nearest(place)
        if above is None:
            yield Finding("disk", f"{place}, for {name}, cannot be reached", fails=True)
        else:
            on.setdefault(above.stat().st_dev, (above, []))[1].append(name)
    for above, names in on.values():
        free = shutil.disk_usage(above).free / 1e9
        says = f"{free:.1f} GB free for {', '.join(names)}"
        yield Finding("disk", says, fails=free < LEAST / 10, warns=free < LEAST)


def nearest(place: Path) -> Path | None:
    """The place itself, or the deepest of the folders above it that is there and can be seen.

    None for a drive that is not there.
    """
    place = place.resolve()
    # Path.exists raises where a folder above may not be entered.
    there = (path for path in (place, *place.parents) if os.path.exists(path))  # noqa: PTH110
    return next(there, None)
