"""The free space of each disk that a run writes to."""

from __future__ import annotations

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
    on: dict[int, list[str]] = {}
    for name, place in places.items():
        on.setdefault(nearest(place).stat().st_dev, []).append(name)
    for names in on.values():
        free = shutil.disk_usage(nearest(places[names[0]])).free / 1e9
        says = f"{free:.1f} GB free for {', '.join(names)}"
        yield Finding("disk", says, fails=free < LEAST / 10, warns=free < LEAST)


def nearest(place: Path) -> Path:
    """The place itself, or the deepest of the folders above it that is there."""
    place = place.resolve()
    return next(path for path in (place, *place.parents) if path.exists())
