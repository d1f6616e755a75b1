"""A run's words in a report: shown as they are, whatever they hold; and what stands beside them."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from apps.gate import annotation
from apps.review.bounds import ceiling_of, floor_of, is_bound
from apps.review.html import html
from apps.review.markdown import CELL, code, markdown
from apps.review.page import Foreign, Page, Table, visible
from pipeline.evaluation.headlines import HEADLINES

HOSTILE = [
    "a|b`c``<img src=x onerror=alert(1)></details>[x](http://e.vil)@all#1\\", "\\", "`", "``` ",
    "|", "a\\|b", "\\`", "</details>", "<!--", "www.e.vil", "~~x~~", "$`x`$", " ", "\n\n# hi",
    "x" * 500 + "`", "\\\\|", "| --- |", "&lt;", "\u202egnp.exe", "\x1b[31m", "\u2028- x", "", "é",
]  # fmt: skip


def rendered(text: str) -> tuple[set[str], int, list[str]]:
    """The kinds of what Markdown holds, how many rows, and the content of each cell's code."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    rows = sum(token.type == "tr_open" for token in tokens)
    return {t.type for t in inline}, rows, [t.content for t in inline if t.type == "code_inline"]


@pytest.mark.parametrize("folded", [True, False])
def test_each_foreign_word_is_one_cell_of_code(folded: bool) -> None:
    rows = [(Foreign(word), Foreign(word), "ours") for word in HOSTILE]
    kinds, count, codes = rendered(markdown(Page("A", [], [Table("T", "abc", rows, folded)])))
    assert kinds <= {"text", "code_inline", "em_open", "em_close"}
    assert count == len(rows) + 1
    told = [word for word in HOSTILE if word.strip()]
    assert len(codes) == 2 * len(told)
    for word, shown in zip(told, codes[::2], strict=True):
        if word.isprintable() and len(word) < CELL and not set("|$") & set(word):
            assert shown == word


def test_a_foreign_word_in_a_sentence_cannot_end_it() -> None:
    for word in HOSTILE:
        text = markdown(Page(("From ", Foreign(word), " to here"), [("See ", Foreign(word), "!")]))
        kinds, rows, _ = rendered(text)
        assert kinds <= {"text", "code_inline", "em_open", "em_close"}
        assert rows == 0
        assert text.startswith("## From ")
        assert " to here\n" in text


def test_what_cannot_be_seen_is_written_out() -> None:
    assert visible("a\u202eb\n\tc\x1b\ud800é") == "a\\u202eb\\n\\tc\\x1b\\ud800é"
    assert code("a|b") == "`a\\x7cb`"
    assert code("") == "(empty)"
    assert len(code("x" * 1000)) == CELL + 2


def test_html_has_a_foreign_word_whole_and_escaped() -> None:
    rows = [(Foreign(word),) for word in HOSTILE]
    text = html(Page("A", [], [Table("T", "a", rows)]))
    assert "<img" not in text
    assert text.count("</details>") == 0
    assert "x" * 500 in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_an_annotation_is_one_command_whatever_the_stage_is_called() -> None:
    said = annotation(3, "a,b: 50%\n::error::x", "why\r\n::set-output name=x::100%")
    assert said.count("\n") == 0
    assert said.startswith("::error file=dvc.yaml,line=3,title=a%2Cb%3A 50%25\\n%3A%3Aerror")
    assert said.endswith("::why\\r\\n::set-output name=x::100%25")


def test_floors_and_ceilings_are_the_same_measure_of_other_groups() -> None:
    figures = {
        "exact.chance.all": 1.0, "exact.shuffled.all": 2.0, "exact.real.all": 3.0,
        "exact.shuffled.all_seen": 4.0, "neutral.real.kid": 5.0, "neutral.lpips.shuffled": 6.0,
        "neutral.lpips.real": 7.0, "blip.bleu.shuffled": 8.0, "blip.bleu.real": 9.0,
        "pixels.real.label_accuracy": 10.0, "prior.neighbours": 11.0, "prior.text_bound": 12.0,
    }  # fmt: skip
    expected = {
        "exact.unranked.all": (1.0, 3.0), "exact.best_of_n.all": (1.0, 3.0),
        "exact.unranked.all_seen": (4.0, None), "neutral.generated.kid": (None, 5.0),
        "neutral.lpips.generated": (6.0, 7.0), "blip.bleu.unranked": (8.0, 9.0),
        "pixels.generated.label_accuracy": (None, 10.0), "prior.bits": (11.0, None),
        "prior.text_gain": (None, 12.0), "vqvae.psnr": (None, None), "exact.real.all": (None, None),
        "odd": (None, None),
    }  # fmt: skip
    for name, bounds in expected.items():
        assert (floor_of(name, figures), ceiling_of(name, figures)) == bounds, name
    # what is better is said of a run's own work alone
    names = [f"{part}.{name}" for part, listed in HEADLINES.items() for name in listed]
    assert [name for name in names if is_bound(name)] == ["pixels.real.label_accuracy"]
