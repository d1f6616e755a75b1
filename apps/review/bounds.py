"""A figure's floor and ceiling: the same measure, of other groups of pictures."""

from __future__ import annotations

from collections.abc import Mapping

# The groups of each part that are nobody's work: what blind guesses or other titles reach, and what
# real pictures reach. The first that has the same measure counts.
FLOORS: Mapping[str, tuple[str, ...]] = {
    "exact": ("chance", "shuffled"),
    "neutral": ("shuffled",),
    "blip": ("shuffled",),
}
CEILINGS: Mapping[str, tuple[str, ...]] = {
    "exact": ("real",),
    "neutral": ("real",),
    "pixels": ("real",),
    "blip": ("real",),
}
# Of single figures, by their full names.
OWN_FLOORS = {"prior.bits": "prior.neighbours", "prior.train_bits": "prior.neighbours"}
OWN_CEILINGS = {"prior.text_gain": "prior.text_bound"}


def floor_of(name: str, figures: Mapping[str, float]) -> float | None:
    """What the figure `part.…` is worth without any skill; None where nobody measured it."""
    return _bound(name, figures, FLOORS, OWN_FLOORS)


def ceiling_of(name: str, figures: Mapping[str, float]) -> float | None:
    """What the figure `part.…` is worth for real pictures; None where nobody measured it."""
    return _bound(name, figures, CEILINGS, OWN_CEILINGS)


def is_bound(name: str) -> bool:
    """Is the figure a floor or a ceiling itself, so that no run does better by moving it?"""
    part, *words = name.split(".")
    return bool(set(words) & {*FLOORS.get(part, ()), *CEILINGS.get(part, ())})


def _bound(
    name: str,
    figures: Mapping[str, float],
    groups: Mapping[str, tuple[str, ...]],
    own: Mapping[str, str],
) -> float | None:
    if name in own:
        return figures.get(own[name])
    part, *words = name.split(".")
    if not words or is_bound(name):
        return None
    for bound in groups.get(part, ()):
        # The group stands first (exact.unranked.all) or last (blip.bleu.unranked).
        for place in (0, len(words) - 1):
            other = ".".join([part, *words[:place], bound, *words[place + 1 :]])
            if other in figures:
                return figures[other]
    return None
