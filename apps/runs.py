"""A run's figures, wherever it is: in the workspace, another folder, a commit or an experiment."""

from __future__ import annotations

from apps.review.trees import Tree, find_tree
from pipeline.errors import UserError

FIGURES = "metrics/figures.tsv"


def read_figures(revision: str) -> dict[str, float]:
    """Every figure of a run by `part.measure`.

    Args:
        revision: what git or DVC calls it; "workspace": the files as they are.

    Raises:
        UserError: there is no such run, or it has no figures.
    """
    found = figures_of(find_tree(revision))
    if found is None:
        raise UserError(f"{revision}: it has no {FIGURES}; run `dvc repro`")
    return found


def figures_of(tree: Tree) -> dict[str, float] | None:
    """Every figure of a run by `part.measure`, None where it has no table of them.

    Raises:
        UserError: the table is none, or has two rows of one name, of which one would be hidden.
    """
    content = tree.read(FIGURES)
    if content is None:
        return None
    lines = content.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    heads, *rows = [line.split("\t") for line in lines]
    figures: dict[str, float] = {}
    try:
        part, measure, value = (heads.index(name) for name in ("part", "measure", "value"))
        for row in filter(any, rows):
            name = f"{row[part]}.{row[measure]}"
            if name in figures:
                raise UserError(f"{tree.name}: {FIGURES} has two rows of {name!r}")
            figures[name] = float(row[value])
    except (ValueError, IndexError):
        raise UserError(f"{tree.name}: {FIGURES} is no table of figures") from None
    return figures
