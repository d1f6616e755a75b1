"""Embeddings of many pictures and texts, a share on each process, the same file from any number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.data.embeddings import ImageEmbeddings, TextEmbeddings
from pipeline.data.pixels import Pixels
from pipeline.models.blip import Blip
from pipeline.progress import progress

CHUNK = 512  # pictures in memory at a time


def extract_images(
    blip: Blip, names: Sequence[str], *, pixels: Pixels, accelerator: Accelerator
) -> ImageEmbeddings:
    """Embed the pictures `names` (each once) among `pixels`; every process gets all."""
    names = sorted(set(names))
    mine = _share(names, accelerator)
    parts = [torch.zeros(0, blip.embed_dim)]
    chunks = [mine[i : i + CHUNK] for i in range(0, len(mine), CHUNK)]
    for chunk in progress(chunks, total=len(chunks), label="pictures embedded, of 512"):
        parts.append(torch.from_numpy(blip.embed_images(pixels[pixels.rows(chunk)])))
    vectors = _together(torch.cat(parts), len(names), accelerator)
    return ImageEmbeddings(tuple(names), vectors)


def extract_texts(blip: Blip, texts: Sequence[str], *, accelerator: Accelerator) -> TextEmbeddings:
    """Embed `texts` (each once); every process gets all."""
    texts = sorted(set(texts))
    longest = blip.longest(texts)
    states = blip.embed_texts(_share(texts, accelerator))
    missing = longest - states.tokens.shape[1]
    condition = TextCondition(
        pooled=_together(states.pooled, len(texts), accelerator),
        tokens=_together(F.pad(states.tokens, (0, 0, 0, missing)), len(texts), accelerator),
        mask=_together(F.pad(states.mask, (0, missing)), len(texts), accelerator),
    )
    return TextEmbeddings(tuple(texts), condition)


def _share(items: Sequence[str], accelerator: Accelerator) -> Sequence[str]:
    """This process's slice of `items`; all but the last are equally long."""
    step = -(-len(items) // accelerator.num_processes)
    return items[accelerator.process_index * step :][:step]


def _together(own: Tensor, count: int, accelerator: Accelerator) -> Tensor:
    """The rows (n, ...) of all processes, `count` in all, on the CPU."""
    step = -(-count // accelerator.num_processes)
    short = step - len(own)
    filled = F.pad(own, [0, 0] * (own.ndim - 1) + [0, short]) if short else own
    return accelerator.gather(filled.to(accelerator.device))[:count].cpu()
