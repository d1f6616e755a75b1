"""The report of a run in Markdown: a sentence, the table behind it, pictures, and then the rest.

What follows is grouped by what it depends on: pixels alone, a neutral space, BLIP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipeline.evaluation.blip_page import PICTURE, SIGHT, Table, sight
from pipeline.evaluation.features import FeatureSpace
from pipeline.evaluation.headlines import CHEATS
from pipeline.evaluation.scores import Figure, Scores
from pipeline.evaluation.spread import Spread
from pipeline.sample.attributes import ATTRIBUTES
from pipeline.sample.scene import KINDS

EXACT_ROWS = {
    "unranked": "**generated**, every draw",
    "best_of_n": "generated, best of n by BLIP",
    "real": "real, fresh",
    "reconstructed": "reconstructed, least error",
    "redrawn": "reconstructed, detail drawn",
    "shuffled": "generated, other titles",
    "chance": "blind guesses",
}
NEUTRAL_ROWS = {
    "real": "real beside real",
    "reconstructed": "reconstructed, least error",
    "redrawn": "reconstructed, detail drawn",
    "generated": "**generated**",
    "prior": "generated beside reconstructed by the same decoder (the prior's share)",
}
LABEL_ROWS = {
    "generated": "generated",
    "best_of_n": "best of n",
    "reconstructed": "reconstructed, least error",
    "redrawn": "reconstructed, detail drawn",
    "real": "real",
}
BLIP_COLUMNS = {
    "unranked": "generated",
    "best_of_n": "best of n",
    "shuffled": "floor: other prompts",
    "reconstructed": "reconstructed, least error",
    "redrawn": "reconstructed, detail drawn",
    "real": "ceiling: real",
}
BLIP_ROWS = ("bleu", "bleu_smoothed", "rouge_1", "rouge_l", "meteor", "similarity", "match")
CAPTIONED = "Real pictures with what BLIP says of them: as many right as wrong, where there are"
PICTURES = {
    "generated": "The first prompts, one draw each that nobody chose",
    "nearest": "The least novel pictures, beside the training pictures nearest to them",
    "reconstructions": "Real pictures above what is painted from their codes: by least error, and,"
    " where the flow decoder paints, from three of its seeds",
    "latents_tsne": "Latents of the test pictures (t-SNE)",
}


class Page:
    """Lines of Markdown in the making, over the figures of all parts."""

    def __init__(self, every: Mapping[str, Scores]) -> None:
        self.parts = {
            part: {figure.name: figure for figure in scores.figures()}
            for part, scores in every.items()
        }
        self.lines: list[str] = []

    def get(self, part: str, name: str) -> Figure | None:
        """A figure, if it was taken."""
        return self.parts[part].get(name)

    def say(self, *lines: str) -> None:
        """Add a paragraph."""
        self.lines += [*lines, ""]

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table; rows without any figure are left out."""
        kept = [row for row in rows if any(row[1:])]
        if kept:
            self.say(_row(heads), _row(["---"] * len(heads)), *map(_row, kept))


def report(
    every: Mapping[str, Scores],
    left_out: Mapping[str, str],
    *,
    space: FeatureSpace | None,
    spread: Spread | None,
) -> str:
    """Write the page.

    Args:
        every: the figures of each part: exact, neutral, pixels, vqvae, pixelsnail, blip.
        left_out: measures that were not taken, and why.
        space: the neutral one; None for none.
        spread: over trainings of the same settings; None: it was never measured.
    """
    page = Page(every)
    page.say("# What this run measured")
    page.say(f"**{sentence(every)}**")
    _exact(page)
    page.say(_chance(spread))
    page.say("## Pictures")
    for name, caption in PICTURES.items():
        page.say(f"*{caption}*", "", f"![{caption}](pictures/{name}.png)")
    page.say("## Pixels alone")
    _exact_details(page)
    _labels(page)
    _plain(page, "pixels", "sharpness", "Sharpness: energy of fine detail, as a share of real")
    _plain(page, "pixels", "copies", "Copies")
    _plain(page, "vqvae", "", "VQ-VAE and decoders", cheat="vqvae")
    _plain(page, "prior", "", "Prior", cheat="prior")
    page.say("## A neutral space")
    _neutral(page, space)
    page.say("## BLIP's opinion")
    page.say(
        "BLIP reads the prompt for the prior, conditions it and picks the draw: what follows is "
        "one model's opinion of its own work. Its captions pick the best of n, so of these they "
        "are no measure."
    )
    page.table(
        ("measure", *BLIP_COLUMNS.values()),
        (
            [name, *(_interval(page.get("blip", f"{name}.{group}")) for group in BLIP_COLUMNS)]
            for name in BLIP_ROWS
        ),
    )
    page.say(CHEATS["blip"])
    page.say("### What BLIP can and cannot see")
    for part in sight(every["blip"]):
        if isinstance(part, Table):
            page.table(part.heads, part.rows)
        else:
            page.say(part)
    page.say(f"*{CAPTIONED}*", "", f"![{CAPTIONED}](pictures/{PICTURE}.png)")
    told = {*BLIP_ROWS, *SIGHT}
    rest = [f for f in page.parts["blip"].values() if f.name.split(".")[0] not in told]
    page.table(("measure", "value", "95 %", "n"), map(_full, rest))
    if left_out:
        page.say("## Left out")
        page.say(*(f"- {name}: {reason}." for name, reason in sorted(left_out.items())))
    return "\n".join(page.lines).rstrip() + "\n"


def sentence(every: Mapping[str, Scores]) -> str:
    """The one sentence that says what the run's pictures are worth, and cannot be argued with."""
    page = Page(every)
    whole = page.get("exact", "unranked.all")
    if whole is not None:
        chance = page.get("exact", "chance.all")
        best = page.get("exact", "best_of_n.all")
        parts = [
            f"{name} {_percent(page.get('exact', f'unranked.{name}'), interval=False)}"
            f" (chance {_percent(page.get('exact', f'chance.{name}'), interval=False)})"
            for name in ATTRIBUTES
        ]
        real, decoded, redrawn = (
            page.get("exact", f"{row}.all") for row in ("real", "reconstructed", "redrawn")
        )
        drawn = f" ({_percent(redrawn, interval=False)} with their detail drawn)" if redrawn else ""
        return (
            f"{_percent(whole)} of the pictures show everything that their line of text asks for"
            f" (chance {_percent(chance, interval=False)}), without selection;"
            f" {_percent(best)} of those that BLIP picks."
            f" Of real pictures {_percent(real, interval=False)},"
            f" of reconstructed ones {_percent(decoded, interval=False)}{drawn}."
            f" One by one: {', '.join(parts)}."
        )
    label, real = (page.get("pixels", f"{row}.label_accuracy") for row in ("generated", "real"))
    if label is not None:
        return (
            f"{_percent(label)} of the pictures show the kind of thing that their line of text asks"
            f" for, told by a classifier that never met BLIP; {_percent(real)} of real ones do."
        )
    return "No figure here can say whether the pictures show what was asked for: see `Left out`."


def _chance(spread: Spread | None) -> str:
    """What of a difference between two runs says nothing."""
    names = ("exact.unranked.all", "exact.unranked.count", "neutral.generated.kid", "prior.bits")
    margins = {name: spread.margin(name) if spread else None for name in names}
    told = [f"{name} {margin:.2g}" for name, margin in margins.items() if margin is not None]
    if spread is None or not told:
        return "This is one training; how far others of the same settings lie apart is not known."
    of = f"the default run of commit {spread.commit}" if spread.commit else "the default run"
    return (
        f"This is one training. Of {spread.runs} of {of} that differ in `seed` alone, "
        f"two lie apart by up to (95 %): {', '.join(told)}. Smaller differences say nothing; "
        "[docs/spread.md](../docs/spread.md) has every figure."
    )


def _exact(page: Page) -> None:
    names = ("all", "all_seen", "all_unseen", *ATTRIBUTES)
    heads = ("pictures", "**all right** (95 %)", "titles seen", "unseen", *ATTRIBUTES, "n")
    rows = []
    for group, title in EXACT_ROWS.items():
        figures = [page.get("exact", f"{group}.{name}") for name in names]
        rows.append([title, _interval(figures[0]), *map(_value, figures[1:]), _count(figures[0])])
    page.table(heads, rows)
    if page.get("exact", "unranked.all"):
        page.say(CHEATS["exact"])


def _exact_details(page: Page) -> None:
    heads = ("all right, by kind", *KINDS)
    groups = ("unranked", "best_of_n")
    page.table(
        heads,
        (
            [EXACT_ROWS[g], *(_value(page.get("exact", f"{g}.all_{kind}")) for kind in KINDS)]
            for g in groups
        ),
    )
    gain = page.get("exact", "reranking.all")
    if gain is not None:
        page.say(f"Picking the best of n by BLIP's captioner: all right {_interval(gain)}.")
    numbers = ("1", "2", "3")
    page.table(
        ("asked for", *(f"{n} seen" for n in numbers)),
        (
            [asked, *(_value(page.get("exact", f"count_asked_{asked}.seen_{n}")) for n in numbers)]
            for asked in numbers
        ),
    )


def _labels(page: Page) -> None:
    names = ("label_accuracy", "label_worst")
    if page.get("pixels", "generated.label_accuracy") is None:
        return
    page.say("### Labels, told by a classifier that was fitted on real pictures")
    rows = []
    for group, title in LABEL_ROWS.items():
        figures = [page.get("pixels", f"{group}.{name}") for name in names]
        rows.append([title, *map(_interval, figures), _count(figures[0])])
    page.table(("pictures", "balanced accuracy (95 %)", "worst label", "n"), rows)
    page.say(CHEATS["label"])


def _count(figure: Figure | None) -> str:
    return "" if figure is None or figure.n is None else str(figure.n)


def _neutral(page: Page, space: FeatureSpace | None) -> None:
    if space is not None:
        page.say(
            f"The space: {space.name}; one unselected draw and one real picture for each prompt; "
            f"KID in units of {space.kid_unit:g}."
        )
    names = ("kid", "fd", "precision", "recall", "density", "coverage")
    rows = []
    for row, title in NEUTRAL_ROWS.items():
        figures = [page.get("neutral", f"{row}.{name}") for name in names]
        rows.append([title, *map(_interval, figures), _count(figures[0])])
    heads = ("beside real pictures of the same prompts", "KID", "FD", *names[2:], "n")
    page.table(heads, rows)
    _plain(page, "neutral", "lpips", "LPIPS to the prompt's real picture")
    if rows and any(rows[0][1:]):
        page.say(CHEATS["neutral"])


def _plain(page: Page, part: str, family: str, title: str, *, cheat: str = "") -> None:
    """A table of figures whose names, or whose last parts, begin with `family`."""
    found = [
        figure
        for figure in page.parts[part].values()
        if not family or any(word.startswith(family) for word in figure.name.split("."))
    ]
    if found:
        page.say(f"### {title}")
        page.table(("measure", "value", "95 %", "n"), map(_full, found))
        if note := CHEATS.get(cheat or family):
            page.say(note)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _full(figure: Figure) -> list[str]:
    ends = "" if figure.low is None else f"{figure.low:.4g} to {figure.high:.4g}"
    return [figure.name, _value(figure), ends, "" if figure.n is None else str(figure.n)]


def _value(figure: Figure | None) -> str:
    return "" if figure is None else f"{figure.value:.4g}"


def _interval(figure: Figure | None) -> str:
    if figure is None or figure.low is None:
        return _value(figure)
    return f"{figure.value:.3g} ({figure.low:.3g} to {figure.high:.3g})"


def _percent(figure: Figure | None, *, interval: bool = True) -> str:
    if figure is None:
        return "–"
    value = f"{figure.value:.1%}" if round(figure.value, 3) < 0.1 else f"{figure.value:.0%}"
    if not interval or figure.low is None or figure.high is None:
        return value
    return f"{value} [{figure.low:.0%} to {figure.high:.0%}]"
