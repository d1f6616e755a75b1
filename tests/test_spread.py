"""Which differences of two runs mean something."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from apps.spread import main
from pipeline.evaluation.spread import Difference, Spread, compare, flatten
from pipeline.evaluation.unmeasurable import Unmeasurable


def test_nested_metrics_get_dotted_names_in_their_order() -> None:
    nested = {"b": 1, "a": {"x": 0.5, "deep": {"y": 2.0}}, "why": "text", "on": True, "none": None}
    assert list(flatten(nested)) == [("b", 1.0), ("a.x", 0.5), ("a.deep.y", 2.0)]
    assert dict(flatten({"x": 1.0}, before="blip.")) == {"blip.x": 1.0}


@pytest.mark.parametrize(
    ("arguments", "changed", "said"),
    [
        (["--seeds", "0"], "", "--seeds 0: expected at least two numbers"),
        (["--draws", "1", "1"], "", "--draws 1 1: expected at least two"),
        ([], "params.yaml", "params.yaml: not committed, and runs are kept by their commit"),
    ],
)
def test_what_would_end_in_no_figure_or_in_another_tree_s_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    changed: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    author = ["-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "one"]):
        subprocess.run(["git", *command], check=True)
    if changed:
        (tmp_path / changed).write_text("seed: 1\n")
    assert main(arguments) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_two_runs_of_the_same_settings_are_called_different_once_in_twenty(runs: int) -> None:
    rng = np.random.default_rng(runs)
    trials = 2000
    values = rng.normal(0.5, 0.1, (trials, runs + 2))
    called = 0
    for *seeds, first, second in values:
        spread = Spread.of([{"x": value} for value in seeds])
        (found,) = compare({"x": first}, {"x": second}, spread)
        called += bool(found.beyond_chance)
    assert called / trials == pytest.approx(0.05, abs=0.015)


def test_the_margin_pays_for_few_runs() -> None:
    for runs, times in ((3, 6.08), (5, 3.93), (1000, 2.78)):
        assert Spread({"x": 0.1}, runs).margin("x") == pytest.approx(times * 0.1, rel=2e-3)


def test_a_large_change_is_beyond_chance_and_a_small_one_within() -> None:
    spread = Spread({"psnr": 0.1, "bleu": 0.02}, 3)
    found = {
        d.name: d for d in compare({"psnr": 27, "bleu": 0.7}, {"psnr": 28, "bleu": 0.8}, spread)
    }
    assert found["psnr"].beyond_chance is True
    assert found["psnr"].change == 1.0
    assert found["bleu"].beyond_chance is False


def test_what_was_never_measured_is_neither_within_nor_beyond() -> None:
    found = list(compare({"old": 1.0, "x": 1.0}, {"x": 2.0, "new": 3.0}, Spread({"old": 1.0}, 3)))
    assert [d.name for d in found] == ["x", "new", "old"]
    assert [d.beyond_chance for d in found] == [None, None, None]
    assert found[1] == Difference("new", None, 3.0, None)
    assert [d.margin for d in compare({"x": 1.0}, {"x": 1.0}, None)] == [None]


def test_a_spread_is_of_the_figures_that_all_runs_have() -> None:
    spread = Spread.of([{"x": 1.0, "y": 2.0}, {"x": 3.0}, {"x": 5.0, "y": 2.0}])
    assert spread == Spread({"x": 2.0}, 3)
    with pytest.raises(Unmeasurable, match="two runs"):
        Spread.of([{"x": 1.0}])
