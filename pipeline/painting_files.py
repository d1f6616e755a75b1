"""Painted pictures as files: PNGs that carry what they were made from, under harmless names."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel


def save_png(path: Path | str, image: np.ndarray, facts: Mapping[str, str]) -> None:
    """Write a picture (H, W, 3) uint8, with `facts` as its text metadata."""
    path = Path(path)
    info = PngInfo()
    for key, value in facts.items():
        info.add_itxt(key, value)
    Image.fromarray(image).save(path, pnginfo=info, compress_level=6)


def file_name(prompt: str, sample: int) -> str:
    """A name that a person recognises and that no other prompt has, whatever the prompt holds."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-")
    digest = hashlib.blake2b(prompt.encode(), digest_size=4).hexdigest()
    return f"{words}-{digest}-{sample}.png" if words else f"{digest}-{sample}.png"


def params_digest(settings: BaseModel, seed: int) -> str:
    """A short digest of the settings that a picture was painted with."""
    facts = f"{seed} {settings.model_dump_json()}"
    return hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()
