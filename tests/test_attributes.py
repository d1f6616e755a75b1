"""Figures from a judge's answers: right for painters whose faults are known, and for no other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.evaluation.attributes import (
    attribute_accuracy,
    attribute_chance,
    attribute_gain,
    attribute_intervals,
    attribute_sizes,
    count_confusion,
    require_fit,
)
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.sample.attributes import ATTRIBUTES, WAYS, encode
from pipeline.sample.scene import CHOICES, KINDS, Scene, draw_scene, every_scene
from pipeline.sample.titles import HELD_OUT, TITLES, parse
from pipeline.sample.words import title

DRAWS = 4
PROMPTS = [line for line in TITLES for _ in range(DRAWS)]
COUNTED = [line for line in PROMPTS if len(CHOICES[parse(line).kind].counts) > 1]


def answers(scenes: list[Scene]) -> np.ndarray:
    """What a judge that is always right says of pictures that show `scenes`."""
    return encode(scenes)


def truth() -> list[Scene]:
    return [parse(line) for line in PROMPTS]


def recounted(scene: Scene, rng: np.random.Generator) -> Scene:
    counts = CHOICES[scene.kind].counts
    drawn = counts[rng.integers(len(counts))]
    return Scene(scene.kind, scene.colour, drawn, scene.sort, scene.setting, scene.light)


def test_a_perfect_painter_is_right_in_everything() -> None:
    figures = dict(attribute_accuracy(PROMPTS, answers(truth())))
    assert set(figures.values()) == {1.0}
    assert set(figures) == {
        *ATTRIBUTES, "all", "all_seen", "all_unseen", *(f"all_{kind}" for kind in KINDS),
    }  # fmt: skip


def test_a_painter_that_ignores_number_has_chance_on_count_and_is_right_elsewhere() -> None:
    rng = np.random.default_rng(0)
    figures = dict(attribute_accuracy(PROMPTS, answers([recounted(s, rng) for s in truth()])))
    sigma = math.sqrt(2 / 9 / len(COUNTED))
    assert abs(figures.pop("count") - 1 / 3) < 3 * sigma
    assert {figures[name] for name in ATTRIBUTES if name != "count"} == {1.0}
    assert figures["all_ship"] == 1.0
    assert figures["all_bird"] < 0.45


def test_a_painter_of_one_picture_for_each_kind_is_right_in_kind_alone() -> None:
    only = {kind: draw_scene(kind, np.random.default_rng(1)) for kind in KINDS}
    figures = dict(attribute_accuracy(PROMPTS, answers([only[s.kind] for s in truth()])))
    assert figures["kind"] == 1.0
    # Over all titles each value comes equally often, so one picture scores exactly chance.
    chance = dict(attribute_chance(PROMPTS))
    for name in ATTRIBUTES[1:]:
        assert figures[name] == pytest.approx(chance[name])
    assert figures["all"] == pytest.approx(len(KINDS) / len(TITLES))


def test_a_painter_that_swaps_prompts_is_never_entirely_right() -> None:
    swapped = truth()[len(PROMPTS) // 2 :] + truth()[: len(PROMPTS) // 2]
    figures = dict(attribute_accuracy(PROMPTS, answers(swapped)))
    assert figures["all"] == 0.0
    assert figures["kind"] < 0.5


def test_a_painter_of_random_titles_scores_chance() -> None:
    """It paints each picture well, and none that was asked for; guesses are of the asked kind."""
    rng = np.random.default_rng(2)
    drawn = [draw_scene(scene.kind, rng) for scene in truth()]
    figures = dict(attribute_accuracy(PROMPTS, answers(drawn)))
    chance = dict(attribute_chance(PROMPTS))
    for name in ATTRIBUTES[1:]:
        assert abs(figures[name] - chance[name]) < 0.06, name


def test_a_painter_that_recites_is_told_by_the_titles_held_out() -> None:
    """Each unseen title gets the picture of a seen one."""
    familiar = {scene.kind: scene for scene in every_scene() if title(scene) not in HELD_OUT}
    recited = [familiar[s.kind] if title(s) in HELD_OUT else s for s in truth()]
    figures = dict(attribute_accuracy(PROMPTS, answers(recited)))
    assert (figures["all_seen"], figures["all_unseen"]) == (1.0, 0.0)


def test_chance_is_what_the_choices_say() -> None:
    chance = dict(attribute_chance(["Blue ship in a storm at night"]))
    assert chance == pytest.approx(
        {"kind": 0.1, "colour": 0.2, "setting": 0.5, "light": 1 / 3, "all": 0.1 / 30,
         "all_seen": 0.1 / 30, "all_ship": 0.1 / 30}
    )  # fmt: skip
    assert dict(attribute_chance(TITLES))["count"] == pytest.approx(1 / 3)
    assert WAYS.shape == (len(KINDS), len(ATTRIBUTES))


def test_an_interval_holds_its_figure_and_widens_where_draws_of_a_prompt_agree() -> None:
    rng = np.random.default_rng(3)
    wrong = answers([draw_scene(scene.kind, rng) for scene in truth()])
    right = answers(truth())
    each = np.where(rng.random(len(PROMPTS))[:, None] < 0.5, right, wrong)
    alike = np.where(np.repeat(rng.random(len(TITLES)), DRAWS)[:, None] < 0.5, right, wrong)
    widths = []
    for seen in (each, alike):
        figures = dict(attribute_accuracy(PROMPTS, seen))
        ends = dict(attribute_intervals(PROMPTS, seen, seed=0))
        for name, value in figures.items():
            assert ends[f"{name}_low"] <= value <= ends[f"{name}_high"]
        widths.append(ends["all_high"] - ends["all_low"])
    assert 1.5 * widths[0] < widths[1] < 2.5 * widths[0]  # four draws alike are as good as one


def test_intervals_of_few_prompts_cover() -> None:
    """A hard painter: some prompts nearly always right, others nearly never."""
    rng = np.random.default_rng(4)
    lines = [line for line in TITLES if parse(line).kind == "fish"] * DRAWS
    right = answers([parse(line) for line in lines])
    wrong = right.copy()
    wrong[:, ATTRIBUTES.index("colour")] += 1
    held = 0
    for trial in range(100):
        share = np.tile(rng.beta(0.8, 0.8, size=len(lines) // DRAWS), DRAWS)
        seen = np.where(rng.random(len(lines))[:, None] < share[:, None], right, wrong)
        ends = dict(attribute_intervals(lines, seen, seed=trial))
        held += ends["all_low"] <= 0.5 <= ends["all_high"]
    assert 0.9 <= held / 100 <= 1.0


def test_nothing_is_certain_even_where_every_picture_is_right() -> None:
    ends = dict(attribute_intervals(PROMPTS, answers(truth()), seed=0))
    assert ends["all_low"] == pytest.approx(0.025 ** (1 / 337))
    assert ends["all_high"] == 1.0
    wrong = answers(truth()[1000:] + truth()[:1000])
    ends = dict(attribute_intervals(PROMPTS, wrong, seed=0))
    assert (ends["all_low"], ends["all_high"]) == (0.0, pytest.approx(1 - 0.025 ** (1 / 337)))


def test_one_prompt_has_no_interval() -> None:
    line = ["Blue ship in a storm at night"] * 4
    assert dict(attribute_intervals(line, answers([parse(x) for x in line]), seed=0)) == {}


def test_a_gain_is_paired_and_no_difference_is_none() -> None:
    rng = np.random.default_rng(5)
    before = answers([recounted(scene, rng) for scene in truth()])
    gain = dict(attribute_gain(PROMPTS, answers(truth()), before, seed=0))
    assert gain["count_low"] > 0.6
    assert (gain["colour"], gain["colour_low"], gain["colour_high"]) == (0.0, 0.0, 0.0)
    assert gain["all_low"] < gain["all"] < gain["all_high"]


def test_numbers_asked_and_seen_stand_in_rows_and_columns() -> None:
    lines = ["A red fish on a plate", "Two red fish on a plate", "Blue ship in a storm at night"]
    seen = answers([parse("Three red fish on a plate"), *(parse(line) for line in lines[1:])])
    assert count_confusion(lines, seen).tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_sizes_tell_pictures_from_prompts() -> None:
    sizes = dict(attribute_sizes(PROMPTS))
    assert sizes == {"pictures": 337 * DRAWS, "prompts": 337, "prompts_unseen": 34}


def test_an_unfit_judge_and_an_empty_set_are_refused_by_name() -> None:
    require_fit({"held-out real pictures": 0.99, "reconstructions": 1.0})
    with pytest.raises(Unmeasurable, match="judge calls 0.980 of reconstructions right"):
        require_fit({"held-out real pictures": 1.0, "reconstructions": 0.98})
    with pytest.raises(Unmeasurable, match="no pictures"):
        dict(attribute_accuracy([], np.empty((0, 6), dtype=np.int64)))
