"""What museums wrote, made ready: cleared of OCR debris, one title for each picture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pipeline.data.texts import normalise

NO_TEXT = ("nan", "null")  # how pandas and databases write that there is none
# Letters that scanners and typesetters made of others. NFC keeps them, and no tokenizer knows them.
_LETTERS = str.maketrans(
    {"ſ": "s", "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)
_HYPHEN_AT_LINE_END = re.compile(r"(?<=\w)[¬\u00ad]\s*(?=\w)")
_DEBRIS = re.compile(r"[¬∣■▪•√⁂]")
_SPACE_BEFORE = re.compile(r"\s+(?=[,.;:!?)\]»])|(?<=[(\[«])\s+")
_SPACED_APOSTROPHE = re.compile(r"(?<=\w)\s+(?=['’](?:s|t|d|ll|re|ve|m)\b)")
# MUSTI's texts repeat the word that was broken at a line's end ("subsistence subsistence"); short
# words are left alone, for they repeat in good prose too ("that that", "very very").
_REPEATED_WORD = re.compile(r"\b([^\W\d_]{5,}[,.;:]?) \1(?!\w)")


def normalise_title(title: str) -> str:
    """A title ready for a model; "" for none, which may be written as "nan"."""
    clean = normalise(title)
    return "" if clean.lower() in NO_TEXT else clean


def normalise_text(text: str) -> str:
    """A passage of a scanned book ready for a model; "" for none, which may be written as "nan"."""
    text = _HYPHEN_AT_LINE_END.sub("", text)
    text = _SPACE_BEFORE.sub("", _DEBRIS.sub(" ", text).translate(_LETTERS))
    text = normalise(text)  # guillemets are plain quotes from here on
    text = _SPACED_APOSTROPHE.sub("", _SPACE_BEFORE.sub("", text))
    text = _REPEATED_WORD.sub(r"\1", text)
    return "" if text.lower() in NO_TEXT else text


def choose_title(matching: Sequence[str], mismatching: Sequence[str]) -> str:
    """The one title of a picture whose rows bear several.

    The title that most rows bear, of equally many the longest, of those the first in the alphabet.
    Rows that were put together although text and picture do not belong together often bear another
    picture's title: they are asked only when no other row has a title, and only if they agree.

    Args:
        matching: normalised titles of the rows that are not mismatched ("" for none).
        mismatching: normalised titles of the mismatched rows.
    """
    counts = Counter(title for title in matching if title)
    if counts:
        return min(counts, key=lambda t: (-counts[t], -len(t), t))
    others = {title for title in mismatching if title}
    return others.pop() if len(others) == 1 else ""
