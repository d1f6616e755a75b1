"""Caption measures against published examples."""

from __future__ import annotations

import math
import shutil
import warnings
from pathlib import Path

import nltk.data
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import corpus_bleu

from pipeline.errors import UserError
from pipeline.evaluation.captions import caption_overlap, meteor, words
from pipeline.evaluation.unmeasurable import Unmeasurable

NLTK_DATA = Path(__file__).resolve().parents[2] / "shared" / "pretrained" / "nltk_data"
wordnet_needed = pytest.mark.skipif(
    not (NLTK_DATA / "corpora" / "wordnet.zip").is_file(),
    reason="WordNet is not beside the project, in ../shared/pretrained/nltk_data",
)


def test_words_are_lower_case_runs_of_letters_and_digits() -> None:
    text = "A still-life: 3 MELONS, “d’Anjou” pears, nature_morte à l'Œuf!"
    expected = "a still life 3 melons d anjou pears nature morte à l œuf"
    assert words(text) == expected.split()
    assert words(" ... ") == []


def test_right_captions_score_one_and_unlike_ones_zero() -> None:
    prompts = ["A red ship in a storm", "two lemons on a white plate"]
    perfect = dict(caption_overlap(prompts, [p.upper() + "." for p in prompts]))
    assert list(perfect.values()) == pytest.approx([1.0] * 4)
    nothing = dict(caption_overlap(prompts, ["dog", "cat"]))
    assert nothing == {"bleu": 0.0, "bleu_smoothed": 0.0, "rouge_1": 0.0, "rouge_l": 0.0}


def test_bleu_is_papineni_s_formula_over_the_corpus() -> None:
    prompts = ["the cat sat on the mat", "a ship in a storm"]
    captions = ["the cat sat on a mat", "a ship in storm"]
    # matches: 5+4 of 6+4 words, 3+2 of 5+3, 2+1 of 4+2, 1+0 of 3+1; 10 words for 11
    precisions = [9 / 10, 5 / 8, 3 / 6, 1 / 4]
    expected = math.exp(1 - 11 / 10) * math.prod(precisions) ** 0.25
    assert dict(caption_overlap(prompts, captions))["bleu"] == pytest.approx(expected)


SENTENCES = st.lists(st.sampled_from("abc"), min_size=4, max_size=9).map(" ".join)


@given(st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=6))
def test_bleu_is_nltk_s_where_captions_have_four_words(pairs: list[tuple[str, str]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an order has no match; nltk then gives 1e-77
        expected = corpus_bleu([[p.split()] for p, _ in pairs], [c.split() for _, c in pairs])
    prompts, captions = zip(*pairs, strict=True)
    assert dict(caption_overlap(prompts, captions))["bleu"] == pytest.approx(expected, abs=1e-12)


def test_a_right_caption_of_two_words_is_right() -> None:
    scores = dict(
        caption_overlap(
            ["eureka lemons", "a ship in a storm"], ["Eureka lemons", "a ship in a storm"]
        )
    )
    assert scores["bleu_smoothed"] == pytest.approx(1.0)
    assert scores["bleu"] == pytest.approx(1.0)
    alone = dict(caption_overlap(["eureka lemons"], ["eureka lemons"]))
    assert alone["bleu_smoothed"] == alone["bleu"] == 1.0


def test_rouge_counts_words_and_the_longest_common_run_with_gaps() -> None:
    # Lin's own example: police killed the gunman / the gunman police killed
    scores = dict(caption_overlap(["police killed the gunman"], ["the gunman police killed"]))
    assert scores["rouge_1"] == 1.0
    assert scores["rouge_l"] == 0.5
    scores = dict(caption_overlap(["police killed the gunman"], ["police kill the gunman"]))
    assert scores["rouge_1"] == scores["rouge_l"] == 0.75


def test_empty_captions_score_zero_and_none_are_unmeasurable() -> None:
    assert set(dict(caption_overlap(["a ship", "!"], ["", "..."])).values()) == {0.0}
    with pytest.raises(Unmeasurable, match="no captions"):
        dict(caption_overlap([], []))
    with pytest.raises(ValueError, match="1 prompts, 2 captions"):
        dict(caption_overlap(["a"], ["a", "b"]))


def test_letters_beyond_english_count() -> None:
    assert (
        dict(caption_overlap(["häuser über dem fluß"], ["Häuser über dem Fluß"]))["rouge_1"] == 1.0
    )


@wordnet_needed
def test_meteor_is_nltk_s_published_figure() -> None:
    before = list(nltk.data.path)
    prompt = (
        "It is a guide to action that ensures that the military will forever heed Party commands"
    )
    caption = (
        "It is a guide to action which ensures that the military always obeys the commands "
        "of the party"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert meteor([prompt], [caption], nltk_data=NLTK_DATA) == pytest.approx(0.6944, abs=5e-5)
    assert nltk.data.path == before


@wordnet_needed
def test_meteor_knows_synonyms_and_stems() -> None:
    # one chunk of four words: 1 - 0.5 * (1 / 4) ** 3
    for caption in ("a ship in storm", "a ship in storms", "a ship in tempest"):
        score = meteor(["a ship in storm"], [caption], nltk_data=NLTK_DATA)
        assert score == pytest.approx(1 - 0.5 / 64)
    assert meteor(["a ship"], ["unlike words"], nltk_data=NLTK_DATA) == 0.0
    assert meteor(["a ship", "!"], ["", ""], nltk_data=NLTK_DATA) == 0.0


@wordnet_needed
def test_meteor_reads_an_unpacked_wordnet_too(tmp_path: Path) -> None:
    archive = NLTK_DATA / "corpora" / "wordnet.zip"
    shutil.unpack_archive(archive, tmp_path / "corpora")
    score = meteor(["a ship in storm"], ["a ships in tempest"], nltk_data=tmp_path)
    assert score == pytest.approx(1 - 0.5 / 64)


def test_a_folder_without_wordnet_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"WordNet is not there; expected corpora/wordnet\.zip"):
        meteor(["a"], ["a"], nltk_data=tmp_path)


def test_a_broken_wordnet_is_named_and_the_path_of_nltk_restored(tmp_path: Path) -> None:
    before = list(nltk.data.path)
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "wordnet.zip").write_bytes(b"<html>no such file</html>")
    with pytest.raises(UserError, match="cannot be read"):
        meteor(["a ship"], ["a boat"], nltk_data=tmp_path)
    (tmp_path / "corpora" / "wordnet.zip").unlink()
    (tmp_path / "corpora" / "wordnet").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        meteor(["a ship"], ["a boat"], nltk_data=tmp_path)
    assert nltk.data.path == before
