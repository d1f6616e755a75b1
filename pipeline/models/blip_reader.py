"""What a painter asks of BLIP: what a text says, and how likely it is as a picture's caption.

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
from pipeline.data.tokenizer import WordPieces, padded
from pipeline.errors import UserError
from pipeline.models.blip_plain import BlipCaptioner, BlipTexts
from pipeline.models.blip_stem import BlipStem, load_stem, shrinking
from pipeline.sealing import check_folder

PATCHES = 2**14  # of all pictures of a batch together, which bounds the memory
PREPROCESSOR = "preprocessor_config.json"


class BlipReader:
    """BLIP's texts, and its captioner, at work."""

    def __init__(
        self,
        retrieval: Any,
        captioner: Any,
        *,
        pieces: WordPieces,
        decode_id: int,
        image_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        stem: BlipStem | None,
    ) -> None:
        """
        Args:
            retrieval: `BlipTexts`, or transformers' model that these are a half of.
            captioner: a `BlipCaptioner`, or transformers' model.
            decode_id: of `[DEC]`, which starts a caption.
            image_size: side of the pictures that the models see; others are resized to it.
            mean, std: of pictures in [0, 1], one for each of red, green, blue.
            stem: what pictures are seen through; None: the models see pixels.
        """
        self.retrieval, self.captioner = retrieval, captioner
        self.pieces, self.decode_id, self.image_size = pieces, decode_id, image_size
        self.mean, self.std, self.stem = mean, std, stem

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load `folder` with its `retrieval` and `captioner`.

        Raises:
            UserError: a file is missing or damaged.
        """
        folder = Path(folder)
        check_folder(folder)
        texts, pictures = folder / "retrieval", folder / "captioner"
        retrieval, pieces = BlipTexts.from_pretrained(texts), WordPieces.from_pretrained(texts)
        captioner, fed = BlipCaptioner.from_pretrained(pictures), load_preprocessor(pictures)
        tower = captioner.vision_model.image_size
        stem = load_stem(folder, fed=fed.size, tower=tower)
        return cls(
            retrieval,
            captioner,
            pieces=pieces,
            decode_id=captioner.decode_id,
            image_size=tower * shrinking(stem),
            mean=fed.mean,
            std=fed.std,
            stem=stem,
        )

    def to(self, device: torch.device | str) -> Self:
        """Move the models; returns itself."""
        self.retrieval.to(device)
        self.captioner.to(device)
        if self.stem:
            self.stem.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        device: torch.device = self.retrieval.text_proj.weight.device
        return device

    @property
    def embed_dim(self) -> int:
        """D, the length of pooled embeddings."""
        return int(self.retrieval.text_proj.out_features)

    @property
    def batch(self) -> int:
        """How many pictures are looked at together."""
        patches = self.captioner.vision_model.embeddings.num_patches
        return max(1, min(128, PATCHES // patches))

    def by_length(self, texts: Sequence[str]) -> np.ndarray:
        """The texts' rows (N,), those of fewer tokens first: how they are put into batches."""
        return np.array(_order(self.pieces.ids(texts)), dtype=np.int64)

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
    def likelihoods(self, images: np.ndarray, text: str) -> np.ndarray:
        """How likely the captioner is to say this text of each picture: float64 (N,) in [0, 1].

        The geometric mean over the text's tokens, so that a long text is not less likely than a
        short one. It is cut to what BLIP takes.
        """
        read = torch.tensor(self.pieces.ids([text]), device=self.device)  # (1, T)
        wanted = read[:, 1:, None].clone()  # the end of the text is a token, too
        read[:, 0] = self.decode_id
        means = []
        for batch in self._batches(images):
            logits = self._write(read.expand(len(batch), -1), self._look(self._pixels(batch)))
            logs = logits[:, :-1].float().log_softmax(dim=-1)  # (B, T - 1, V)
            said = logs.gather(2, wanted.expand(len(batch), -1, -1)).cpu()
            means.append(said.double().mean(dim=(1, 2)))
        return torch.cat([torch.zeros(0, dtype=torch.float64), *means]).exp().numpy()

    def _read(self, ids: Tensor, present: Tensor) -> list[Tensor]:
        """The words' own states (B, T, C), then each layer's."""
        states: list[Tensor] = self.retrieval(ids, present)
        return states

    def _look(self, pixels: Tensor) -> Tensor:
        """What `_pixels` made → the states (B, 1 + patches, C) of the captioner's vision tower."""
        states: Tensor = self.captioner.vision_model(pixels)
        return states

    def _write(self, ids: Tensor, pictures: Tensor) -> Tensor:
        """Logits (B, T, V) of the token after each of ids (B, T), beside pictures' states."""
        logits: Tensor = self.captioner(ids, pictures)
        return logits

    def _batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        for first in range(0, len(images), self.batch):
            yield images[first : first + self.batch]

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

    def _by_length(
        self, ids: Sequence[Sequence[int]], *, most: int = 128
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Batches of texts of like length: their rows, ids (B, T) and mask (B, T)."""
        order = _order(ids)
        for first in range(0, len(order), most):
            rows = order[first : first + most]
            table, present = padded([ids[row] for row in rows], pad=self.pieces.pad_id)
            yield torch.tensor(rows), table.to(self.device), present.to(self.device)


def _order(ids: Sequence[Sequence[int]]) -> list[int]:
    return sorted(range(len(ids)), key=lambda row: len(ids[row]))


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
