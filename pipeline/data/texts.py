"""The one road of texts: captions, prompts and judged captions are all normalised here.

Two texts that a reader takes for the same are the same afterwards, however they were typed: letters
composed (Unicode NFC; a Mac's file names and some keyboards decompose them), blanks folded, control
letters dropped, typographic quotes as the plain ones of a keyboard.
"""

from __future__ import annotations

import unicodedata

_QUOTES = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛‹›ʹʻʼʽ′`´׳＇", "'"),
        **dict.fromkeys("“”„‟«»″〝〞〟״＂", '"'),
    }
)
# Control, format, surrogate, private. Unassigned ones stay: the next Unicode may assign them.
_DROPPED = frozenset(("Cc", "Cf", "Cs", "Co"))


def normalise(text: str) -> str:
    """Unicode NFC with plain quotes, without control characters, stripped, single spaces.

    Format characters go too (zero-width joiners, marks of direction): BERT's tokenizer drops them.
    """
    if not text.isprintable():  # most are, and then need no look at every character
        text = "".join(c if unicodedata.category(c) not in _DROPPED else _instead(c) for c in text)
    return " ".join(unicodedata.normalize("NFC", text).translate(_QUOTES).split())


def _instead(control: str) -> str:
    """White space for the control characters that are white space, nothing for the others."""
    return " " if control.isspace() else ""


def join_surrogates(text: str) -> str:
    r"""Join pairs of surrogates (`"\ud83d\udea2"`, as JSON escapes an emoji) to the characters.

    Raises:
        ValueError: half a pair is left, which no file can hold.
    """
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise ValueError("not valid Unicode (half a surrogate pair)") from None
