"""Captions against prompts: BLEU, ROUGE-1, ROUGE-L, METEOR.

All compare the same words. Prompt and caption are cut by one rule, the one by which the captioner
writes: its tokenizer's normaliser and BERT's cutting at blanks, punctuation and Chinese characters.
So a caption that says a prompt's words is right in every script, with or without accents.
"""

from __future__ import annotations

import math
import unicodedata
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import nltk.data
from nltk.corpus.reader.wordnet import WordNetCorpusReader, WordNetError
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer
from tokenizers.normalizers import BertNormalizer, Normalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from pipeline.data.texts import normalise
from pipeline.errors import UserError
from pipeline.evaluation.bootstrap import mean_figures
from pipeline.evaluation.scores import Figures
from pipeline.evaluation.unmeasurable import Unmeasurable

BLEU_ORDERS = range(1, 5)  # words in a row

# As the captioners that are trained here write: lower-cased, accents kept.
OUR_SPELLING = BertNormalizer(strip_accents=False)
_CUT = BertPreTokenizer()


def words(text: str, spelling: Normalizer = OUR_SPELLING) -> list[str]:
    """The words that every measure here compares: letters with their marks, and digits.

    Punctuation and symbols are dropped; a text of symbols alone (emoji) has these for words.

    Args:
        spelling: the normaliser of the captioner's tokenizer; the published one drops accents.
    """
    pieces = [p for p, _ in _CUT.pre_tokenize_str(spelling.normalize_str(normalise(text)))]
    for kinds in ("LMN", "LMNS"):
        bare = ["".join(c for c in p if unicodedata.category(c)[0] in kinds) for p in pieces]
        if any(bare):
            return [word for word in bare if word]
    return []


class Words:
    """`words` as rouge-score asks for it; its own tokenizer drops every letter beyond a to z."""

    def __init__(self, spelling: Normalizer) -> None:
        self.spelling = spelling

    def tokenize(self, text: str) -> list[str]:
        """The words of a text."""
        return words(text, self.spelling)


def caption_overlap(
    prompts: Sequence[str], captions: Sequence[str], *, spelling: Normalizer = OUR_SPELLING
) -> Figures:
    """BLEU and ROUGE of captions, each against its one prompt.

    Args:
        prompts: (N,) what pictures were painted from.
        captions: (N,) what a captioner says of them.
        spelling: see `words`.

    Yields:
        bleu: corpus BLEU-4 without smoothing (Papineni et al. 2002), the figure that papers give:
            nltk's number where all captions have four words or more. nltk holds the runs of words
            that a shorter caption cannot have against it, and gives right captions of two words
            0.1; here they get 1.
        bleu_smoothed: the mean of the captions' own BLEU (of as many words in a row as a caption
            has, up to four), an order without a match counted as a tenth of one (Chen and Cherry
            2014, method 1).
        rouge_1, rouge_l: means of the F-measure (Lin 2004), without stemming.
        Of means the ends of their 95 % interval besides, as NAME_low and NAME_high, where there
        are at least 20 captions.

    Raises:
        Unmeasurable: there are no captions.
    """
    said = [words(caption, spelling) for caption in captions]
    asked = [words(prompt, spelling) for prompt in prompts]
    _check(prompts, captions)
    smoothing = SmoothingFunction().method1
    smoothed = [
        float(sentence_bleu([a], s, smoothing_function=smoothing, auto_reweigh=True))
        for a, s in zip(asked, said, strict=True)
    ]
    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=False, tokenizer=Words(spelling))
    rouge = [scorer.score(p, c) for p, c in zip(prompts, captions, strict=True)]
    yield "bleu", _corpus_bleu(asked, said)
    yield from mean_figures("bleu_smoothed", smoothed)
    yield from mean_figures("rouge_1", [float(r["rouge1"].fmeasure) for r in rouge])
    yield from mean_figures("rouge_l", [float(r["rougeL"].fmeasure) for r in rouge])


def _corpus_bleu(asked: Sequence[list[str]], said: Sequence[list[str]]) -> float:
    precisions = []
    for order in BLEU_ORDERS:
        runs = [(_runs(a, order), _runs(s, order)) for a, s in zip(asked, said, strict=True)]
        possible = sum(s.total() for _, s in runs)
        if possible:
            precisions.append(sum((a & s).total() for a, s in runs) / possible)
    if not precisions or min(precisions) == 0:
        return 0.0
    brevity = min(0.0, 1 - sum(map(len, asked)) / sum(map(len, said)))
    return math.exp(brevity + sum(map(math.log, precisions)) / len(precisions))


def _runs(sentence: list[str], length: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(sentence[start:] for start in range(length)), strict=False))


def meteor(
    prompts: Sequence[str],
    captions: Sequence[str],
    *,
    nltk_data: Path | str,
    spelling: Normalizer = OUR_SPELLING,
) -> float:
    """METEOR (Banerjee and Lavie 2005): words matched as they are, by stem, by WordNet's synonyms.

    WordNet and the stemmer know English; in other languages little but exact words will match.
    nltk looks up the stems of words, not the words, so it finds "tempest" for "storm", but not
    "picture" (stem "pictur") for "painting"; other implementations give somewhat more.

    Args:
        prompts: (N,) what pictures were painted from.
        captions: (N,) what a captioner says of them.
        nltk_data: a folder as NLTK_DATA names it, holding corpora/wordnet.zip or corpora/wordnet.
        spelling: see `words`.

    Returns:
        The mean over captions, with nltk's parameters (alpha 0.9, beta 3, gamma 0.5).

    Raises:
        Unmeasurable: there are no captions.
        UserError: WordNet is not in the folder, or damaged.
    """
    _check(prompts, captions)
    with _wordnet(Path(nltk_data)) as wordnet:
        scores = [
            float(
                single_meteor_score(
                    words(prompt, spelling), words(caption, spelling), wordnet=wordnet
                )
            )
            for prompt, caption in zip(prompts, captions, strict=True)
        ]
    return sum(scores) / len(scores)


def _check(prompts: Sequence[str], captions: Sequence[str]) -> None:
    if len(prompts) != len(captions):
        raise ValueError(f"{len(prompts)} prompts, {len(captions)} captions")
    if not captions:
        raise Unmeasurable("there are no captions")


@contextmanager
def _wordnet(nltk_data: Path) -> Iterator[WordNetCorpusReader]:
    # nltk opens files below the folders of its own list only, some of them while it is in use.
    before = list(nltk.data.path)
    nltk.data.path[:] = [str(nltk_data.resolve())]
    try:
        yield _read_wordnet(nltk_data.resolve())
    except (OSError, KeyError, zipfile.BadZipFile, WordNetError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{nltk_data}: WordNet there cannot be read: {reason}") from None
    finally:
        nltk.data.path[:] = before


@lru_cache(maxsize=1)  # its index takes longer to read than a run's captions to score
def _read_wordnet(nltk_data: Path) -> WordNetCorpusReader:
    archive, folder = (nltk_data / "corpora" / name for name in ("wordnet.zip", "wordnet"))
    root: nltk.data.PathPointer
    if archive.is_file():
        root = nltk.data.ZipFilePathPointer(str(archive), "wordnet/")
    elif folder.is_dir():
        root = nltk.data.FileSystemPathPointer(str(folder))
    else:
        raise UserError(
            f"{nltk_data}: WordNet is not there; expected corpora/wordnet.zip or corpora/wordnet"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # says that it is in English only
        reader = WordNetCorpusReader(root, None)
    reader.synsets("picture")  # opens what a broken copy lacks
    return reader
