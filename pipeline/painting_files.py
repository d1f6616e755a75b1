"""Generated pictures as files: PNGs that carry what they were made from, under harmless names."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel
from safetensors import safe_open
from safetensors.numpy import save_file

from pipeline.painter import Painting

INDEX, DRAWS = "index.csv", "draws"


def save_png(path: Path | str | BinaryIO, image: np.ndarray, facts: Mapping[str, str]) -> None:
    """Write a picture (H, W, 3) uint8, with `facts` as its text metadata."""
    info = PngInfo()
    for key, value in facts.items():
        info.add_itxt(key, value)
    Image.fromarray(image).save(path, "PNG", pnginfo=info, compress_level=6)


def save_paintings(
    paintings: Iterable[Painting], folder: Path, *, facts: Mapping[str, str], judged: Set[str]
) -> None:
    """Write each painting's chosen draw into `folder`, all draws below it, and an index of them.

    Args:
        folder: which is made.
        facts: what stands in every picture's metadata, beside its prompt, sample and candidate.
        judged: the prompts that the index calls judged.
    """
    import pandas as pd  # half a second, which a single picture can do without

    (folder / DRAWS).mkdir(parents=True)
    rows = []
    for painting in paintings:
        name = file_name(painting.prompt, painting.sample)
        own = {**facts, "prompt": painting.prompt, "sample": str(painting.sample)}
        for candidate, (image, likelihood) in enumerate(
            zip(painting.draws, painting.likelihoods, strict=True)
        ):
            file = f"{DRAWS}/{name.removesuffix('.png')}-{candidate}.png"
            chosen = candidate == painting.chosen
            for path in (file, name) if chosen else (file,):
                save_png(folder / path, image, {**own, "candidate": str(candidate)})
            rows.append(
                {
                    "prompt": painting.prompt,
                    "sample": painting.sample,
                    "candidate": candidate,
                    "file": file,
                    "likelihood": round(float(likelihood), 6),
                    "chosen": chosen,
                    "judged": painting.prompt in judged,
                }
            )
    pd.DataFrame(rows).to_csv(folder / INDEX, index=False, lineterminator="\n")


def save_draws(paintings: Sequence[Painting], path: Path) -> None:
    """Write what was painted, bare, to one file."""
    named = json.dumps([[painting.prompt, painting.sample] for painting in paintings])
    tensors = {
        "draws": np.stack([painting.draws for painting in paintings]),
        "likelihoods": np.stack([painting.likelihoods for painting in paintings]),
    }
    save_file(tensors, path, {"paintings": named})


def load_draws(path: Path) -> Iterator[Painting]:
    """Read what `save_draws` wrote."""
    with safe_open(path, framework="numpy") as file:
        named = json.loads(file.metadata()["paintings"])
        tensors = file.get_tensor("draws"), file.get_tensor("likelihoods")
    for (prompt, sample), draws, likelihoods in zip(named, *tensors, strict=True):
        yield Painting(prompt, sample, draws, likelihoods)


def file_name(prompt: str, sample: int) -> str:
    """A name that a person recognises and that no other prompt has, whatever the prompt holds."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-")
    digest = hashlib.blake2b(prompt.encode(), digest_size=4).hexdigest()
    return f"{words}-{digest}-{sample}.png" if words else f"{digest}-{sample}.png"


def params_digest(settings: BaseModel, seed: int) -> str:
    """A short digest of the settings that a picture was painted with."""
    facts = f"{seed} {json.dumps(settings.model_dump(), sort_keys=True)}"
    return hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()
