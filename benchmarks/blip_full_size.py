"""BLIP's full size (base, 384 pixels, random weights) on the road of `pretrained.blip`.

    python -m benchmarks.blip_full_size [--json results.json]

A checkpoint is written to a temporary folder (2 GB), loaded, asked everything that the stages ask,
and trained for two steps (about 12 GB of memory: weights, their averages, the best of these,
gradients and two moments).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import BertTokenizer
from transformers.models.blip.configuration_blip import BlipConfig
from transformers.models.blip.modeling_blip import (
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
)

from benchmarks.measure import peak_memory, report
from pipeline.data.images import square
from pipeline.data.pairs import Pair
from pipeline.data.pixels import Pixels, seal_pixels, shard_name
from pipeline.files import write_tsv
from pipeline.models.blip import Blip
from pipeline.models.blip_checkpoint import BlipCheckpoint
from pipeline.training.blip import BlipTask
from pipeline.training.blip_data import Matches
from pipeline.training.blip_settings import BlipSettings, NegativeShares, ViewSettings
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.loop import build_accelerator, fit

SPECIALS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}  # as BERT has them
WORDS = 30_522
TEXTS = [f"word{200 + i} word{300 + i} word{400 + i}" for i in range(8)]
SETTINGS = BlipSettings(
    steps=2, batch_size=4, lr=1e-5, warmup_steps=0, weight_decay=0.05, grad_clip=1.0,
    ema_decay=0.99, validate_every=2, patience=0, checkpoint_every=10, precision="fp32",
    image_size=384, patch_size=16, hidden_size=768, vision_layers=12, text_layers=12, heads=12,
    projection_dim=256, vocab_size=30_524, max_text_length=35, caption_max_length=20, num_beams=3,
    itc_weight=1.0, itm_weight=1.0, lm_weight=1.0, match_share=1.0, passage_share=1.0,
    negatives=NegativeShares(even=1.0, hard=1.0, same_label=1.0, changed=1.0), doubtful_weight=0.0,
    shorter_share=0.0, rare_below=0.1, rest_after=3, layer_decay=0.8, dropout=0.1,
    stem_channel=0, muon=False,
    views=ViewSettings(max_shift=8, mirror=False, smallest_crop=0.8, jitter=0.2, soft_share=0.0),
)  # fmt: skip


def random_checkpoint() -> BlipCheckpoint:
    """`blip-itm-base` and `blip-image-captioning-base` before anybody trained them."""
    torch.manual_seed(0)
    config = BlipConfig(
        text_config={"num_attention_heads": 12},
        vision_config={"initializer_range": 0.02},  # Hugging Face's default leaves it at 0
    )
    special = {place: piece for piece, place in SPECIALS.items()}
    vocabulary = {special.get(i, f"word{i}"): i for i in range(WORDS)}
    return BlipCheckpoint(
        BlipForImageTextRetrieval(config),
        BlipForConditionalGeneration(config),
        BertTokenizer(vocabulary, model_max_length=512),
    )


class Timer:
    """Seconds and the process's largest memory so far, a row for each thing done."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    @contextmanager
    def __call__(self, what: str, *, times: int = 1) -> Iterator[None]:
        """Time the body, which does `what` so many times."""
        start = time.perf_counter()
        yield
        seconds = (time.perf_counter() - start) / times
        self.rows.append({"what": what, "seconds": seconds, "peak GiB": peak_memory()})


def ask(folder: Path, images: np.ndarray, timer: Timer) -> None:
    """What extraction, generation and evaluation ask of BLIP."""
    with timer("load"):
        blip = Blip.from_pretrained(folder)
    with timer("embed a picture", times=len(images)):
        blip.embed_images(images)
    with timer("embed a text", times=len(images)):
        blip.embed_texts(TEXTS)
    with timer("match a picture and a text", times=len(images)):
        blip.match(images, TEXTS)
    with timer("a text's likelihood as a picture's caption", times=len(images)):
        blip.likelihoods(images, TEXTS[0])
    blip.checkpoint.set_search(max_length=10, num_beams=3)
    with timer("caption a picture (9 tokens, 3 beams)", times=2):
        blip.caption(images[:2])


def train(folder: Path, images: np.ndarray, timer: Timer) -> None:
    """Two steps of fine-tuning and a validation."""
    pairs = [
        Pair(i, f"{i}.png", "train", text, text, "", "NO" if i % 2 else "YES", ())
        for i, text in enumerate(TEXTS)
    ]
    blip = SETTINGS.start(pairs, pretrained=folder / "blip")
    size, stored = blip.image_size, folder / "pixels"
    stored.mkdir()
    np.save(stored / shard_name(0), [square(Image.fromarray(image), size) for image in images])
    names = np.array([pair.image.encode() for pair in pairs])
    seal_pixels(stored, names, counts=[len(names)], size=size)
    pixels = Pixels.open(stored, size)
    matches = Matches.load(pairs, "train", pixels=pixels, tokenizer=blip.tokenizer)
    task = BlipTask(blip, matches, matches, SETTINGS)
    with timer(f"train {SETTINGS.steps} steps of 4 pictures, validate 8"):
        fit(
            task,
            SETTINGS,
            accelerator=build_accelerator("fp32"),
            checkpoints=Checkpoints(folder / "checkpoints"),
            seed=0,
            label="BLIP",
            write_curve=partial(write_tsv, folder / "curve.tsv"),
            follow=task.follow,
            lr_shares=task.lr_shares(),
        )


def main() -> None:
    """Go the whole road."""
    timer = Timer()
    images = np.random.default_rng(0).integers(0, 256, (len(TEXTS), 64, 64, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as name:
        with timer("write"):
            random_checkpoint().save(Path(name) / "blip")
        ask(Path(name) / "blip", images, timer)
        train(Path(name), images, timer)
    report(timer.rows)


if __name__ == "__main__":
    main()
