"""Captions against prompts: BLEU, ROUGE-1, ROUGE-L, METEOR.

All compare the same words: lower-cased runs of letters and digits (an apostrophe inside a word
belongs to it), punctuation dropped.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nltk.data
from nltk.corpus.reader.wordnet import WordNetCorpusReader, WordNetError
from nltk.translate.bleu_score import SmoothingFunction, corpus_bleu, sentence_bleu
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer

from pipeline.errors import UserError
from pipeline.evaluation.unmeasurable import Unmeasurable

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
NO_MATCH = 1e-9  # nltk gives 1e-77 or so where no four words in a row agree; that is a zero


def words(text: str) -> list[str]:
    """The words that every measure here compares."""
    return WORD.findall(text.lower())


class Words:
    """`words` as rouge-score asks for it; its own tokenizer drops every letter beyond a to z."""

    def tokenize(self, text: str) -> list[str]:
        """The words of a text."""
        return words(text)


def caption_overlap(prompts: Sequence[str], captions: Sequence[str]) -> dict[str, float]:
    """BLEU and ROUGE of captions, each against its one prompt.

    Args:
        prompts: (N,) what pictures were painted from.
        captions: (N,) what a captioner says of them.

    Returns:
        bleu: corpus BLEU-4 without smoothing (Papineni et al. 2002), the figure that papers give. A
            caption of fewer than four words has no four words in a row to match and lowers it,
            even if it is right.
        bleu_smoothed: the mean of the captions' own BLEU (of as many words in a row as a caption
            has, up to four), an order without a match counted as a tenth of one (Chen and Cherry
            2014, method 1).
        rouge_1, rouge_l: means of the F-measure (Lin 2004), without stemming.

    Raises:
        Unmeasurable: there are no captions.
    """
    said = [words(caption) for caption in captions]
    asked = [[words(prompt)] for prompt in prompts]
    _check(prompts, captions)
    smoothing = SmoothingFunction().method1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # says that an order had no match
        bleu = float(corpus_bleu(asked, said))
        smoothed = [
            float(sentence_bleu(a, s, smoothing_function=smoothing, auto_reweigh=True))
            for a, s in zip(asked, said, strict=True)
        ]
    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=False, tokenizer=Words())
    rouge = [scorer.score(p, c) for p, c in zip(prompts, captions, strict=True)]
    return {
        "bleu": bleu if bleu > NO_MATCH else 0.0,
        "bleu_smoothed": sum(smoothed) / len(smoothed),
        "rouge_1": sum(float(r["rouge1"].fmeasure) for r in rouge) / len(rouge),
        "rouge_l": sum(float(r["rougeL"].fmeasure) for r in rouge) / len(rouge),
    }


def meteor(prompts: Sequence[str], captions: Sequence[str], *, nltk_data: Path) -> float:
    """METEOR (Banerjee and Lavie 2005): words matched as they are, by stem, by WordNet's synonyms.

    WordNet and the stemmer know English; in other languages little but exact words will match.

    Args:
        prompts: (N,) what pictures were painted from.
        captions: (N,) what a captioner says of them.
        nltk_data: a folder as NLTK_DATA names it, holding corpora/wordnet.zip or corpora/wordnet.

    Returns:
        The mean over captions, with nltk's parameters (alpha 0.9, beta 3, gamma 0.5).

    Raises:
        Unmeasurable: there are no captions.
        UserError: WordNet is not in the folder, or damaged.
    """
    _check(prompts, captions)
    with _wordnet(nltk_data) as wordnet:
        scores = [
            float(single_meteor_score(words(prompt), words(caption), wordnet=wordnet))
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
    folder = nltk_data.resolve() / "corpora"
    archive = folder / "wordnet.zip"
    if not archive.is_file() and not (folder / "wordnet").is_dir():
        raise UserError(
            f"{nltk_data}: WordNet is not there; expected corpora/wordnet.zip or corpora/wordnet"
        )
    # nltk opens files below the folders of its own list only, some of them while it is in use.
    before = list(nltk.data.path)
    nltk.data.path[:] = [str(nltk_data.resolve())]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # says that it is in English only
            root: nltk.data.PathPointer
            if archive.is_file():
                root = nltk.data.ZipFilePathPointer(str(archive), "wordnet/")
            else:
                root = nltk.data.FileSystemPathPointer(str(folder / "wordnet"))
            reader = WordNetCorpusReader(root, None)
            reader.synsets("picture")  # opens what a broken copy lacks
        yield reader
    except (OSError, KeyError, zipfile.BadZipFile, WordNetError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{nltk_data}: WordNet there cannot be read: {reason}") from None
    finally:
        nltk.data.path[:] = before
