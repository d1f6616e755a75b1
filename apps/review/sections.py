"""What a reviewer reads of two runs, from the most important on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from apps.review.differences import (
    PROVENANCE,
    SPREAD,
    Figures,
    Row,
    Verdict,
    count,
    differing,
    read_json,
    read_run,
    read_spread,
)
from apps.review.page import Foreign, Page, Pictures, Strong, Table, Words
from apps.review.pictures import grids, singles
from apps.review.settings import Changed, changed, changed_params, leaves
from apps.review.stages import Rerun, reruns
from apps.review.trees import Tree
from apps.runs import FIGURES
from pipeline.evaluation.spread import Spread

HEADS = (
    "figure", "before", "after", "change", "chance moves it by", "floor", "ceiling", "better", "",
)  # fmt: skip
WORDS = {
    Verdict.NOT_A_NUMBER: "⚠\u00a0not a number",
    Verdict.VANISHED: "⚠\u00a0vanished",
    Verdict.WORSE: "✘\u00a0worse",
    Verdict.BETTER: "✔\u00a0better",
    Verdict.BEYOND: "beyond chance",
    Verdict.NEW: "new",
    Verdict.UNKNOWN: "spread unknown",
    Verdict.WITHIN: "within chance",
}
LOUD = (Verdict.NOT_A_NUMBER, Verdict.VANISHED)
MOVED = (Verdict.WORSE, Verdict.BETTER, Verdict.BEYOND)
PATHS = 4  # of changed code told of one stage


def review(before: Tree, after: Tree, *, warnings: Sequence[Words] = ()) -> Page:
    """Compare two runs.

    Args:
        before: whose spread counts: a branch cannot call its own changes chance.
        warnings: stand first.

    Raises:
        UserError: a file of one of them is damaged.
    """
    old, new = read_run(before), read_run(after)
    spread = read_spread(before)
    rows = differing(old, new, spread)
    params, stages = changed_params(before, after), reruns(before, after)
    page = Page(("From ", *_name(before), " to ", *_name(after)))
    page.lines += [_sentence(rows, new, params, stages), *warnings, *_notes(before, after, spread)]
    page.lines += [
        note for tree, run in ((before, old), (after, new)) for note in _disputed(tree, run)
    ]
    parts: list[Table | Pictures] = [_params(params), *_figures(rows)]
    parts += [grids(before, after), singles(before, after), _stages(stages), *_folded(rows)]
    page.parts += [part for part in parts if (part.rows if isinstance(part, Table) else part.pairs)]
    return page


def _name(tree: Tree) -> tuple[str, ...]:
    commit = (" (", Foreign(tree.commit[:10]), ")") if tree.commit else ()
    return (Foreign(tree.name), *commit)


def _sentence(
    rows: Sequence[Row], after: Figures, params: Sequence[Changed], stages: Sequence[Rerun]
) -> Words:
    first = [row for row in rows if row.headline]
    changes = f"{_things(len(params), 'param')} changed, {_things(len(stages), 'stage')} ran again."
    if not rows:
        return Strong("No figure differs."), f" {changes}"
    better, worse = count(first, Verdict.BETTER), count(first, Verdict.WORSE)
    moved = f"{count(first, *MOVED)} of {_things(len(after.headlines), 'headline figure')}"
    told = [f" ({better} better, {worse} worse)" if better or worse else ""]
    for words, number in (
        ("within it", count(first, Verdict.WITHIN)),
        ("of which nobody knows how far chance moves them", count(first, Verdict.UNKNOWN)),
        ("new", count(first, Verdict.NEW)),
        ("⚠ vanished or no number", count(rows, *LOUD)),
    ):
        if number:
            told.append(f"{number} {words}")
    return Strong(f"{moved} moved beyond chance"), f"{', '.join(told)}. {changes}"


def _notes(before: Tree, after: Tree, spread: Spread | None) -> Iterator[Words]:
    for tree in (before, after):
        if tree.read(FIGURES) is None:
            yield ("⚠ ", Foreign(tree.name), " has no ", Foreign(FIGURES), ".")
    if spread is None:
        yield "How far runs of the same settings lie apart is not known: any change may be chance."
    if before.read(SPREAD) != after.read(SPREAD):
        yield ("⚠ ", Foreign(SPREAD), " differs; that of the run before counts here.")
    made = (read_json(tree, PROVENANCE) for tree in (before, after))
    facts = [dict(leaves(found)) if isinstance(found, dict) else {} for found in made]
    if machines := list(changed(*facts)):
        told = "; ".join(f"{key} {old} → {new}" for key, old, new in machines)
        yield ("Made on another machine or with other versions: ", Foreign(told))


def _disputed(tree: Tree, run: Figures) -> Iterator[Words]:
    """Both files come from one stage: where they differ, somebody else wrote one of them."""
    for name in run.disputed[:1]:
        more = f" and {len(run.disputed) - 1} more" if len(run.disputed) > 1 else ""
        told = ("⚠ ", Foreign(FIGURES), " of ", Foreign(tree.name), " and its metrics/*.json ")
        yield (*told, "disagree on ", Foreign(name), f"{more}; the table counts here.")


def _params(params: Sequence[Changed]) -> Table:
    rows = [(Foreign(key), _setting(old), _setting(new)) for key, old, new in params]
    return Table("Params that changed", ("param", "before", "after"), rows)


def _setting(text: str | None) -> Words:
    return "–" if text is None else Foreign(text)


def _figures(rows: Sequence[Row]) -> Iterator[Table]:
    """What a reviewer sees without opening anything; what is no number is never folded away."""
    loud = [row for row in rows if row.verdict in LOUD]
    moved = [row for row in rows if row.headline and row.verdict in MOVED]
    unsure = [row for row in rows if row.headline and row.verdict in (Verdict.UNKNOWN, Verdict.NEW)]
    yield _table("Vanished, or not a number", loud)
    yield _table("Figures that moved beyond chance", moved)
    yield _table("Figures of which nobody knows how much chance moves them", unsure)


def _folded(rows: Sequence[Row]) -> Iterator[Table]:
    within = [row for row in rows if row.headline and row.verdict is Verdict.WITHIN]
    others = [row for row in rows if not row.headline and row.verdict not in LOUD]
    yield _table("Headline figures that moved within chance", within, folded=True)
    yield _table("All other figures that differ, those beyond chance first", others, folded=True)


def _table(title: str, rows: Sequence[Row], *, folded: bool = False) -> Table:
    return Table(title, HEADS, [_cells(row) for row in rows], folded)


def _cells(row: Row) -> tuple[Words, ...]:
    found = row.difference
    change = "–" if found.change is None else _signed(f"{found.change:+.3g}")
    wanted = "–" if row.better == "neither" else row.better
    return (
        Foreign(found.name), _number(found.before), _number(found.after), change,
        _number(found.margin), _number(row.floor), _number(row.ceiling), wanted, WORDS[row.verdict],
    )  # fmt: skip


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return _signed(f"{value:.4g}") if math.isfinite(value) else str(value)


def _signed(number: str) -> str:
    """With a minus that no line is broken after."""
    return number.replace("-", "\u2212")


def _stages(found: Sequence[Rerun]) -> Table:
    rows = [(Foreign(rerun.stage), _why(rerun), _made(rerun)) for rerun in found]
    return Table("Stages that ran again", ("stage", "because of", "what it makes"), rows)


def _why(rerun: Rerun) -> Words:
    if rerun.unexplained:
        return Strong("nothing that it reads"), ": another machine, other versions, or chance"
    reasons: list[tuple[str, ...]] = [
        (Foreign(key), " ", _setting_text(old), " → ", _setting_text(new))
        for key, old, new in rerun.params
    ]
    reasons += [("its command",)] * rerun.command
    reasons += [(Foreign(path),) for path in rerun.data]
    reasons += [(Foreign(path),) for path in rerun.code[:PATHS]]
    if len(rerun.code) > PATHS:
        reasons.append((f"{len(rerun.code) - PATHS} more modules",))
    words = [word for reason in reasons for word in (", ", *reason)]
    return tuple(words[1:]) or "–"


def _setting_text(text: str | None) -> str:
    return "(none)" if text is None else Foreign(text)


def _made(rerun: Rerun) -> str:
    if rerun.state != "ran again":
        return f"{rerun.state} stage"
    return f"{len(rerun.outs)} of {rerun.made} differ" if rerun.outs else "the same bytes"


def _things(number: int, name: str) -> str:
    return f"{number} {name}" + ("" if number == 1 else "s")
