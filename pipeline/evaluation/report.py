"""The report of a run: the figures that matter, each beside its floor and ceiling, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GROUPS = ("generated", "unranked", "shuffled", "reconstructed", "real")
HEADS = (
    "measure",
    "generated",
    "unranked",
    "floor: shuffled",
    "reconstructed",
    "ceiling: real",
)


def report(values: Mapping[str, Mapping[str, Any]], left_out: Mapping[str, str]) -> str:
    """Write the page.

    Args:
        values: each metrics file's content by its name: blip, vqvae, pixelsnail, generation.
        left_out: measures that were not taken, and why.
    """
    lines = ["# What this run measured", "", "## Pictures and their prompts", "", _row(HEADS)]
    lines.append(_row(["---"] * len(HEADS)))
    generation = values["generation"]
    for name, found in generation.items():
        if "shuffled" in found:
            lines.append(_row([name, *(_figure(found.get(group)) for group in GROUPS)]))
    for title, name in (
        ("Fréchet distance to test pictures", "frechet"),
        ("Memorising", "memorising"),
    ):
        if name in generation:
            lines += ["", f"**{title}:** " + _listed(generation[name]) + "."]
    for title, name in (("BLIP", "blip"), ("VQ-VAE", "vqvae"), ("Prior", "pixelsnail")):
        lines += ["", f"## {title}", "", "| measure | value |", "| --- | --- |"]
        lines += [_row([key, _figure(value)]) for key, value in _flat(values[name])]
    if left_out:
        lines += ["", "## Left out", ""]
        lines += [f"- {name}: {reason}." for name, reason in sorted(left_out.items())]
    return "\n".join(lines) + "\n"


def _row(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def _figure(value: Any) -> str:
    return "" if value is None else f"{value:.4g}"


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_figure(value)}" for name, value in values.items())


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{key}.")
        else:
            found.append((f"{before}{key}", value))
    return found
