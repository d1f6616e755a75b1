"""Jobs of judging that several processes do together: each knows what any of them found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.evaluation.asking import AskedBlip
from pipeline.evaluation.maps import Arrays, Maps
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.shares import Over, never
from stages.evaluate import Findings, Judging


def squares(rows: slice) -> Arrays:
    return {"squares": np.arange(rows.start, rows.stop) ** 2}


def refuse(_: slice) -> Arrays:
    raise AssertionError("it is there")


def test_rows_are_asked_about_some_at_a_time_and_stand_in_their_order(tmp_path: Path) -> None:
    asked = []

    def ask(rows: slice) -> Arrays:
        asked.append((rows.start, rows.stop))
        return squares(rows)

    found = Maps(tmp_path, never).rows("squares", 10, ask, of_each=4)
    assert found["squares"].tolist() == [row**2 for row in range(10)]
    assert asked == [(0, 4), (4, 8), (8, 10)]


def test_who_asks_the_same_in_the_same_order_reads_what_was_found(tmp_path: Path) -> None:
    first, second = (Maps(tmp_path, never) for _ in range(2))
    first.rows("squares", 3, squares, of_each=2)
    assert first.texts("words", 2, lambda rows: ["ä"] * (rows.stop - rows.start), of_each=1)
    assert second.rows("squares", 3, refuse, of_each=2)["squares"].tolist() == [0, 1, 4]
    assert second.texts("words", 2, refuse, of_each=1) == ["ä", "ä"]  # type: ignore[arg-type]


def test_no_rows_are_asked_about_once(tmp_path: Path) -> None:
    assert Maps(tmp_path, never).rows("squares", 0, squares, of_each=4)["squares"].tolist() == []


def test_what_is_unmeasurable_is_so_for_everyone(tmp_path: Path) -> None:
    def ask(_: slice) -> Arrays:
        raise Unmeasurable("too few")

    for _ in range(2):
        with pytest.raises(Unmeasurable):
            Maps(tmp_path, never).rows("squares", 3, ask, of_each=2)


@pytest.mark.parametrize("at", [0, 1, 2, 3, 4])
def test_who_helps_ends_when_the_outs_are_there_and_the_folder_is_gone(
    tmp_path: Path, at: int
) -> None:
    looks = iter(range(100))

    def is_over() -> bool:
        over = next(looks) >= at
        if over:
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return over

    with pytest.raises(Over):
        Maps(tmp_path / "run", is_over).rows("squares", 20, squares, of_each=4)


class Blip:
    """Stands for one whose answers depend on what else is in a batch."""

    batch = 2

    def by_length(self, texts: list[str]) -> np.ndarray:
        return np.argsort([len(text) for text in texts], kind="stable")

    def match(self, images: np.ndarray, texts: list[str]) -> np.ndarray:
        assert len(texts) <= self.batch
        return images + max(map(len, texts)) / 10


def test_blip_s_batches_of_texts_of_like_length_stay_what_they_are(tmp_path: Path) -> None:
    asked = AskedBlip(Blip(), Maps(tmp_path, never))  # type: ignore[arg-type]
    found = asked.match(np.arange(5), ["aaaa", "a", "aaa", "aa", "aaaaa"])
    assert found.tolist() == pytest.approx([0.4, 1.2, 2.4, 3.2, 4.5])


def test_who_has_helped_to_judge_needs_not_judge_again(tmp_path: Path) -> None:
    findings = Findings(*[None] * 5)  # type: ignore[arg-type]

    def judge(maps: Maps) -> Findings:
        calls.append(maps.is_over)
        if maps.is_over():
            raise Over
        return findings

    calls: list[Callable[[], bool]] = []
    work = Judging(tmp_path, judge)
    work.help(is_over=lambda: True)
    work.help(is_over=lambda: False)
    work.help(is_over=lambda: False)
    assert work.gather() is findings
    assert len(calls) == 2
