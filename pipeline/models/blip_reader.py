"""What a painter asks of BLIP: what a text says, and how well a picture belongs to it.

Pictures are uint8 (N, H, W, 3) squares of any size; answers stand in the order of what was asked.
What is measured comes as numpy arrays, what conditions a model as tensors on the CPU. Nothing here
needs transformers, whose import takes longer than painting.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.data.texts import join_surrogates, normalise
from pipeline.data.tokenizer import ENCODE, WordPieces, padded
from pipeline.errors import UserError
from pipeline.models.blip_retrieval import BlipRetrieval
from pipeline.models.blip_stem import BlipStem, load_stem, shrinking
from pipeline.sealing import check_folder

PATCHES = 2**14  # of all pictures of a batch together, which bounds the memory
PREPROCESSOR = "preprocessor_config.json"
THRESHOLDS = "matching.json"


@dataclass(frozen=True)
class MatchThresholds:
    """From which probability on a picture and a text are called matched.

    Training chooses them on validation; a published checkpoint has none of its own.

    Attributes:
        captions, passages: of a picture's captions, and of the longer texts beside it.
    """

    captions: float
    passages: float


PUBLISHED = MatchThresholds(captions=0.5, passages=0.5)


class BlipReader:
    """BLIP's retrieval model at work."""

    def __init__(
        self,
        retrieval: Any,
        *,
        pieces: WordPieces,
        image_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        encode_id: int,
        thresholds: MatchThresholds,
        stem: BlipStem | None,
    ) -> None:
        """
        Args:
            retrieval: a `BlipRetrieval`, or transformers' model of the same name.
            image_size: side of the pictures that the model sees; others are resized to it.
            mean, std: of pictures in [0, 1], one for each of red, green, blue.
            encode_id: of `[ENC]`, which starts a text that is read beside a picture.
            thresholds: of `match`.
            stem: what pictures are seen through; None: the model sees pixels.
        """
        self.retrieval, self.pieces, self.image_size = retrieval, pieces, image_size
        self.mean, self.std, self.encode_id = mean, std, encode_id
        self.thresholds, self.stem = thresholds, stem

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load `folder` with its `retrieval`.

        Raises:
            UserError: a file is missing or damaged.
        """
        whole = Path(folder)
        check_folder(whole)
        folder = whole / "retrieval"
        retrieval = BlipRetrieval.from_pretrained(folder)
        pieces = WordPieces.from_pretrained(folder)
        fed, tower = load_preprocessor(folder), retrieval.vision_model.image_size
        known, stem = pieces.id(ENCODE), load_stem(whole, fed=fed.size, tower=tower)
        return cls(
            retrieval,
            pieces=pieces,
            image_size=tower * shrinking(stem),
            mean=fed.mean,
            std=fed.std,
            encode_id=retrieval.decode_id + 1 if known is None else known,
            thresholds=load_thresholds(whole),
            stem=stem,
        )

    def to(self, device: torch.device | str) -> Self:
        """Move the model; returns itself."""
        self.retrieval.to(device)
        if self.stem:
            self.stem.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.retrieval.device
        return device

    @property
    def embed_dim(self) -> int:
        """D, the length of pooled embeddings."""
        return int(self.retrieval.text_proj.out_features)

    def check_prompts(self, prompts: Sequence[str]) -> None:
        """Refuse texts that a picture cannot be painted from.

        Raises:
            UserError: a prompt is empty, longer than the text model takes, or of letters that it
                has never seen.
        """
        for number, prompt in enumerate(prompts, start=1):
            try:
                text = normalise(join_surrogates(prompt))
            except ValueError as error:
                raise UserError(f"prompt {number} = {prompt[:60]!r}: {error}") from None
            if not text:
                raise UserError(f"prompt {number} is empty")
            pieces = self.pieces.split(text)
            length = len(pieces) + 2  # [CLS] and [SEP]
            if length > self.pieces.limit:
                raise UserError(
                    f"prompt {number} = {prompt[:60]!r}: {length} tokens, the text model takes "
                    f"at most {self.pieces.limit}"
                )
            if all(piece == self.pieces.unknown for piece in pieces):
                raise UserError(f"prompt {number} = {prompt[:60]!r}: the text model knows no word")

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> TextCondition:
        """Texts → what conditions a model, in float32 on the CPU; each cut to what BLIP takes.

        Pooled is the last layer's class state, projected; tokens are means over all layers.
        """
        ids = self.pieces.ids(texts)
        longest = max((len(row) for row in ids), default=0)
        pooled = torch.zeros(len(ids), self.embed_dim)
        tokens = torch.zeros(len(ids), longest, self.retrieval.text_proj.in_features)
        mask = torch.zeros(len(ids), longest, dtype=torch.bool)
        for rows, batch, present in self._by_length(ids):
            states = self._read(batch, present)
            classes = states[-1][:, 0]  # (B, C)
            pooled[rows] = F.normalize(self.retrieval.text_proj(classes), dim=-1).cpu()
            # The last layer tells what BLIP sees in pictures: "two birds" and "three birds" are
            # nearly one there. The mean over all layers, each normalised, still has the words
            # (https://arxiv.org/abs/2506.08210).
            mixed = torch.stack(states).mean(dim=0)  # (B, T, C)
            tokens[rows, : batch.shape[1]] = (mixed * present[:, :, None]).cpu()
            mask[rows, : batch.shape[1]] = present.cpu()
        return TextCondition(pooled, tokens, mask)

    @torch.inference_mode()
    def match(self, images: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """How likely each picture and its text belong together: float32 (N,) in [0, 1]."""
        if len(images) != len(texts):
            raise ValueError(f"{len(images)} pictures and {len(texts)} texts: expected as many")
        ids = self.pieces.ids(texts)
        scores = torch.zeros(len(ids))
        for rows, batch, present in self._by_length(ids, most=self._image_batch()):
            batch[:, 0] = self.encode_id
            states = self._read(batch, present, self._see(self._pixels(images[rows.numpy()])))
            logits = self.retrieval.itm_head(states[-1][:, 0])  # (B, 2): no match, match
            scores[rows] = logits.float().softmax(dim=1)[:, 1].cpu()
        return scores.numpy()

    def _read(self, ids: Tensor, present: Tensor, pictures: Tensor | None = None) -> list[Tensor]:
        """The words' own states (B, T, C), then each layer's, beside pictures' if there are any."""
        states: list[Tensor] = self.retrieval.text_encoder(ids, present, pictures)
        return states

    def _see(self, pixels: Tensor) -> Tensor:
        """What `_pixels` made → the vision tower's states (B, 1 + patches, C)."""
        states: Tensor = self.retrieval.vision_model(pixels)
        return states

    def _pixels(self, images: np.ndarray) -> Tensor:
        """uint8 (B, H, W, 3) → what the vision towers take, on their device."""
        batch = torch.from_numpy(np.ascontiguousarray(images)).to(self.device)
        size = self.image_size
        if batch.shape[1:3] != (size, size):
            planes = batch.permute(0, 3, 1, 2).float()
            planes = F.interpolate(
                planes, (size, size), mode="bicubic", align_corners=False, antialias=True
            )
            batch = planes.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1)
        pixels = normalised(batch, self.mean, self.std)
        return self.stem(pixels) if self.stem else pixels

    def _image_batch(self) -> int:
        patches = self.retrieval.vision_model.embeddings.num_patches
        return max(1, min(128, PATCHES // patches))

    def _by_length(
        self, ids: Sequence[Sequence[int]], *, most: int = 128
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Batches of texts of like length: their rows, ids (B, T) and mask (B, T)."""
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        for first in range(0, len(order), most):
            rows = order[first : first + most]
            table, present = padded([ids[row] for row in rows], pad=self.pieces.pad_id)
            yield torch.tensor(rows), table.to(self.device), present.to(self.device)


def normalised(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 (B, S, S, 3) of the models' size → normalised float (B, 3, S, S)."""
    centre = torch.tensor(mean, device=images.device).view(1, 3, 1, 1)
    spread = torch.tensor(std, device=images.device).view(1, 3, 1, 1)
    return images.permute(0, 3, 1, 2).float().div_(255).sub_(centre).div_(spread).contiguous()


@dataclass(frozen=True)
class Preprocessor:
    """How a checkpoint's pictures are made.

    Attributes:
        mean, std: of pictures in [0, 1], one for each of red, green, blue.
        size: their side in pixels; 0: the file does not say.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int


def load_preprocessor(folder: Path) -> Preprocessor:
    """How a checkpoint's pictures are made, by its folder.

    Raises:
        UserError: the file is missing or says nothing of their colours.
    """
    path = folder / PREPROCESSOR
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        size = values.get("size", 0)
        side = size.get("height", 0) if isinstance(size, dict) else size
        return Preprocessor(tuple(values["image_mean"]), tuple(values["image_std"]), int(side))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: expected JSON with image_mean and image_std") from None


def load_thresholds(folder: Path) -> MatchThresholds:
    """The thresholds of a BLIP's folder; the published ones where it has none of its own.

    Raises:
        UserError: the file says nothing of them.
    """
    path = folder / THRESHOLDS
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return MatchThresholds(float(values["captions"]), float(values["passages"]))
    except FileNotFoundError:
        return PUBLISHED
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: expected JSON with captions and passages") from None
