"""One road of texts: what is typed, painted, written by the captioner and judged is cut alike."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizer

from pipeline.data.texts import join_surrogates, normalise
from pipeline.data.tokenizer import token_ids, train_tokenizer
from pipeline.evaluation.captions import caption_overlap, words

BERT = Path(__file__).resolve().parents[2] / "shared" / "pretrained" / "bert-base-uncased"
bert_needed = pytest.mark.skipif(
    not (BERT / "vocab.txt").is_file(),
    reason="BERT's vocabulary is not beside the project, in ../shared/pretrained",
)

TITLES = [
    "The Painter's Daughter with a Cat",
    "L'église d'Auvers-sur-Oise, vue du chevet",
    "Der Mönch am Meer – “Abend”",
    "«La última cena», señora García",
    "Ο ΟΔΥΣΣΕΎΣ και οι Σειρήνες",
    "İstanbul'da akşam",
    "Утро в сосновом лесу",
    "रात में नाव और चाँद",
    "নদীর উপর সূর্যাস্ত",
    "ลมพายุในทะเล",
    "سفينة في العاصفة، ليلاً",
    "می‌خواهم گل سرخ",
    "אֳנִיָּה בַּסְּעָרָה",
    "富士山の朝",
    "清明上河图",
    "모나리자의 미소",
    "Thuyền trong cơn bão",
    "Nº 5: 3½ lemons & 2 melons (c. 1650)",
    "Don't!",
]


def word_perfect(titles: list[str], tokenizer: BertTokenizer) -> list[str]:
    """What a captioner says that finds every right piece."""
    return tokenizer.batch_decode(token_ids(tokenizer, titles), skip_special_tokens=True)


def ours(titles: list[str]) -> BertTokenizer:
    return train_tokenizer(titles, vocab_size=900, max_length=60)


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_word_perfect_captioner_scores_one_in_every_script(title: str, form: str) -> None:
    typed = unicodedata.normalize(form, title)
    scores = dict(caption_overlap([typed], word_perfect([typed], ours(TITLES))))
    assert list(scores.values()) == pytest.approx([1.0] * 4)


@bert_needed
def test_the_published_vocabulary_drops_accents_and_so_does_the_measure() -> None:
    tokenizer = BertTokenizer(str(BERT / "vocab.txt"), model_max_length=512)
    spelling = tokenizer.backend_tokenizer.normalizer
    # It has no letters for Thai, nor for one character of each of three other titles.
    writable = [t for t in TITLES if "[UNK]" not in tokenizer.tokenize(normalise(t))]
    assert len(writable) == len(TITLES) - 4
    for title, said in zip(writable, word_perfect(writable, tokenizer), strict=True):
        scores = dict(caption_overlap([title], [said], spelling=spelling))
        assert list(scores.values()) == pytest.approx([1.0] * 4), title
    # A word that it cannot write is a word that it did not say.
    (said,) = word_perfect(["清明上河图"], tokenizer)
    scores = dict(caption_overlap(["清明上河图"], [said], spelling=spelling))
    assert scores["rouge_1"] == pytest.approx(2 * 4 / (5 + 4))


def test_other_words_score_what_they_should() -> None:
    # Two of three words, in each script.
    for prompt, caption in [
        ("ship in storms", "ship in harbour"),
        ("l'église", "l'auberge d'église"),
        ("रात में नाव", "रात में चाँद"),
        ("富士山", "富士川"),
        ("سفينة في العاصفة", "سفينة في الميناء"),
    ]:
        assert dict(caption_overlap([prompt], [caption]))["rouge_1"] == pytest.approx(2 / 3)
    assert dict(caption_overlap(["pêche"], ["péché"]))["rouge_1"] == 0.0  # accents tell words apart
    assert dict(caption_overlap(["की"], ["का"]))["rouge_1"] == 0.0  # and so do vowel signs


def test_marks_belong_to_their_letters_in_every_script() -> None:
    assert words("रात में") == ["रात", "में"]
    assert words("אֳנִיָּה") == [unicodedata.normalize("NFC", "אֳנִיָּה")]
    assert words("พายุ, ที่") == ["พายุ", "ที่"]
    assert words("5° «x» 🚢") == ["5", "x"]
    assert words("🚢 🚢!") == ["🚢", "🚢"]


def test_texts_that_read_alike_are_the_same_afterwards() -> None:
    assert normalise("L’e\u0301glise\u200b d\u00ad‘Auvers’ \t “x”") == "L'église d'Auvers' \"x\""
    assert normalise("a\x00b\u2028c") == "ab c"
    assert normalise("\u202eمرحبا\u202c") == "مرحبا"
    assert normalise("Blue ship 🚢") == "Blue ship 🚢"


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
    normalise(text).encode("utf-8")


def test_pairs_of_surrogates_are_joined_and_halves_refused() -> None:
    assert join_surrogates("ship \ud83d\udea2") == "ship 🚢"
    with pytest.raises(ValueError, match="half a surrogate pair"):
        join_surrogates("ship \ud83d")


def test_a_decomposed_prompt_is_the_composed_one_to_the_tokenizer() -> None:
    tokenizer = ours(TITLES)
    for title in TITLES:
        typed = unicodedata.normalize("NFD", title).replace("'", "’")
        assert token_ids(tokenizer, [typed]) == token_ids(tokenizer, [title])
