"""A very small BLIP and the pictures that the tests show it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from pipeline.data.images import content_name
from pipeline.data.pairs import Pair
from pipeline.data.picture_shards import shards_in, write_shards
from pipeline.data.pixels import Pixels
from pipeline.data.resizing import join_shards, resize_shard
from pipeline.files import write_tsv
from pipeline.models.blip_checkpoint import BlipCheckpoint
from pipeline.training.blip import BlipSettings, BlipTask
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.loop import Curve, build_accelerator, fit

SIDE = 16
SETTINGS = {
    "steps": 4, "batch_size": 8, "lr": 3e-3, "warmup_steps": 2, "weight_decay": 0.01,
    "grad_clip": 1.0, "ema_decay": 0.9, "validate_every": 2, "patience": 0, "checkpoint_every": 2,
    "precision": "fp32", "image_size": SIDE, "patch_size": 8, "hidden_size": 32, "vision_layers": 1,
    "text_layers": 1, "heads": 2, "projection_dim": 12, "vocab_size": 120, "max_text_length": 16,
    "caption_max_length": 10, "num_beams": 1, "itc_weight": 1.0, "itm_weight": 1.0,
    "lm_weight": 1.0, "match_share": 1.0, "passage_share": 1.0, "doubtful_weight": 1.0,
    "shorter_share": 0.0, "rare_below": 0.0, "rest_after": 0, "layer_decay": 1.0, "dropout": 0.0,
    "stem_channel": 4, "muon": True,
    "negatives": {"even": 1.0, "hard": 1.0, "same_label": 0.0, "changed": 0.0},
    "views": {
        "max_shift": 1, "mirror": False, "smallest_crop": 1.0, "jitter": 0.0, "soft_share": 0.0,
    },
}  # fmt: skip
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 220)}
PLACES = ("left", "right")


def settings(**changes) -> BlipSettings:
    return BlipSettings(**{**SETTINGS, **changes})


def learn(task: BlipTask, *, saved: Path, seed: int) -> Curve:
    """Train as the stage does, with checkpoints in the folder `saved` and the curve beside it."""
    return fit(
        task,
        task.settings,
        accelerator=build_accelerator("fp32"),
        checkpoints=Checkpoints(saved),
        seed=seed,
        label="BLIP",
        write_curve=partial(write_tsv, saved.with_suffix(".tsv")),
        follow=task.follow,
        lr_shares=task.lr_shares(),
        by_muon=task.by_muon(),
    )


def picture(colour: str, place: str, seed: int) -> np.ndarray:
    """A square on grey, uint8 (16, 16, 3)."""
    image = np.random.default_rng(seed).integers(100, 140, (16, 16, 3))
    columns = slice(0, 8) if place == "left" else slice(8, 16)
    image[4:12, columns] = COLOURS[colour]
    return image.astype(np.uint8)


def write_pairs_and_pictures(
    folder: Path, *, of_each: int = 2, split: str = "train", places: Sequence[str] = PLACES
) -> list[Pair]:
    """Pictures of all colours at all places with their captions; each also has a passage."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = []
    for number in range(3 * len(places) * of_each):
        colour, place = list(COLOURS)[number % 3], places[number // 3 % len(places)]
        name = _stored(folder, picture(colour, place, number), number)
        label = "NO" if number % 2 else "YES"
        told = colour if label == "YES" else list(COLOURS)[(number + 1) % 3]
        pairs.append(
            Pair(
                id=number, image=name, split=split, caption=f"A {colour} square on the {place}",
                text=f"They say that {told} was seen", title="", match=label, objects=(colour,),
            )
        )  # fmt: skip
    return pairs


def _stored(folder: Path, image: np.ndarray, number: int) -> str:
    """Write a picture under the name that its bytes give it; names sort as the numbers do."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    for padding in count():  # behind a PNG's end, where no reader looks
        data = stream.getvalue() + str(padding).encode()
        if content_name(data).startswith(f"{number:02x}"):
            break
    name = f"{content_name(data)}.png"
    (folder / name).write_bytes(data)
    return name


def pixels_of(images: Path, to: Path | None = None) -> Pixels:
    """The pictures of a folder as BLIP's stages read them, beside it or in the folder `to`."""
    to = to or images.with_name(f"{images.name}.pixels")
    with TemporaryDirectory() as folder:
        shards, parts = Path(folder) / "shards", Path(folder) / "parts"
        write_shards(shards, ((path.name, path) for path in sorted(images.iterdir())))
        for shard in shards_in(shards):
            resize_shard(shard, parts / shard.stem, [SIDE])
        join_shards(sorted(parts.iterdir()), {to: SIDE})
    return Pixels.open(to, SIDE)


def build(pairs: list[Pair] | None = None, **changes) -> BlipCheckpoint:
    """A BLIP with random weights."""
    torch.manual_seed(0)
    texts = [f"A {colour} square on the {place}" for colour in COLOURS for place in PLACES]
    told = [Pair(0, "", "train", text, "", "", "", ()) for text in texts]
    return settings(**changes).start(pairs or told, pretrained=Path("nothing/here"))
