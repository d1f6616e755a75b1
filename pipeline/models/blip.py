"""BLIP (https://arxiv.org/abs/2201.12086) at work: embed pictures and texts, match, caption.

Pictures are uint8 (N, H, W, 3) squares of any size; answers stand in the order of what was asked.
What is measured comes as numpy arrays, what conditions a model as tensors on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.data.texts import join_surrogates, normalise
from pipeline.data.tokenizer import padded, token_ids
from pipeline.errors import UserError
from pipeline.models.blip_checkpoint import BlipCheckpoint

PATCHES = 2**14  # of all pictures of a batch together, which bounds the memory


class Blip:
    """A trained BLIP."""

    def __init__(self, checkpoint: BlipCheckpoint) -> None:
        self.checkpoint = checkpoint
        self.retrieval = checkpoint.retrieval.eval()
        self.captioner = checkpoint.captioner.eval()
        self.tokenizer = checkpoint.tokenizer

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Blip:
        """Load `folder` with its `retrieval` and `captioner`.

        Raises:
            UserError: a file is missing or damaged.
        """
        return cls(BlipCheckpoint.load(Path(folder)))

    def to(self, device: torch.device | str) -> Blip:
        """Move both models; returns itself."""
        self.retrieval.to(device)
        self.captioner.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.retrieval.device

    @property
    def image_size(self) -> int:
        """Side of the pictures that the models see; others are resized to it."""
        return self.checkpoint.image_size

    @property
    def embed_dim(self) -> int:
        """D, the length of pooled embeddings."""
        return self.retrieval.text_proj.out_features

    @property
    def match_threshold(self) -> float:
        """From this probability on a picture and a caption are called matched."""
        return self.checkpoint.thresholds.captions

    @property
    def passage_threshold(self) -> float:
        """The same of a picture and a passage."""
        return self.checkpoint.thresholds.passages

    def longest(self, texts: Sequence[str]) -> int:
        """T, the tokens of the longest of these texts."""
        return max((len(row) for row in token_ids(self.tokenizer, texts)), default=0)

    def check_prompts(self, prompts: Sequence[str]) -> None:
        """Refuse texts that a picture cannot be painted from.

        Raises:
            UserError: a prompt is empty, longer than the text model takes, or of letters that it
                has never seen.
        """
        limit = self.tokenizer.model_max_length
        for number, prompt in enumerate(prompts, start=1):
            try:
                text = normalise(join_surrogates(prompt))
            except ValueError as error:
                raise UserError(f"prompt {number} = {prompt[:60]!r}: {error}") from None
            if not text:
                raise UserError(f"prompt {number} is empty")
            pieces = self.tokenizer.tokenize(text)
            length = len(pieces) + 2  # [CLS] and [SEP]
            if length > limit:
                raise UserError(
                    f"prompt {number} = {prompt[:60]!r}: {length} tokens, the text model takes "
                    f"at most {limit}"
                )
            if all(piece == self.tokenizer.unk_token for piece in pieces):
                raise UserError(f"prompt {number} = {prompt[:60]!r}: the text model knows no word")

    @torch.inference_mode()
    def embed_images(self, images: np.ndarray) -> np.ndarray:
        """Pictures → float32 (N, D), L2-normalised."""
        project = self.retrieval.vision_proj
        vectors = [
            F.normalize(project(self._see(batch)[:, 0]), dim=-1).cpu()
            for batch in self._batches(images)
        ]
        return torch.cat([torch.zeros(0, self.embed_dim), *vectors]).numpy()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> TextCondition:
        """Texts → their states in float32, on the CPU; each cut to what the text model takes."""
        ids = token_ids(self.tokenizer, texts)
        longest = max((len(row) for row in ids), default=0)
        pooled = torch.zeros(len(ids), self.embed_dim)
        tokens = torch.zeros(len(ids), longest, self.retrieval.text_proj.in_features)
        mask = torch.zeros(len(ids), longest, dtype=torch.bool)
        for rows, batch, present in self._by_length(ids):
            states = self.retrieval.text_encoder(
                input_ids=batch, attention_mask=present.long()
            ).last_hidden_state  # (B, T, C)
            pooled[rows] = F.normalize(self.retrieval.text_proj(states[:, 0]), dim=-1).cpu()
            tokens[rows, : batch.shape[1]] = (states * present[:, :, None]).cpu()
            mask[rows, : batch.shape[1]] = present.cpu()
        return TextCondition(pooled, tokens, mask)

    @torch.inference_mode()
    def match(self, images: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """How likely each picture and its text belong together: float32 (N,) in [0, 1]."""
        if len(images) != len(texts):
            raise ValueError(f"{len(images)} pictures and {len(texts)} texts: expected as many")
        ids = token_ids(self.tokenizer, texts)
        scores = torch.zeros(len(ids))
        for rows, batch, present in self._by_length(ids, most=self._image_batch()):
            batch[:, 0] = self.checkpoint.encode_id
            states = self.retrieval.text_encoder(
                input_ids=batch,
                attention_mask=present.long(),
                encoder_hidden_states=self._see(images[rows.numpy()]),
            ).last_hidden_state
            logits = self.retrieval.itm_head(states[:, 0])  # (B, 2): no match, match
            scores[rows] = logits.float().softmax(dim=1)[:, 1].cpu()
        return scores.numpy()

    @torch.inference_mode()
    def caption(self, images: np.ndarray) -> list[str]:
        """What is in each picture, in the tokenizer's spelling (lower case, spaced punctuation)."""
        search = self.captioner.generation_config
        captions: list[str] = []
        for batch in self._batches(images):
            written = self.captioner.generate(
                pixel_values=self._pixels(batch),
                max_length=search.max_length,
                num_beams=search.num_beams,
                do_sample=False,
            )
            captions += self.tokenizer.batch_decode(written[:, 1:], skip_special_tokens=True)
        return [caption.strip() for caption in captions]

    def _pixels(self, images: np.ndarray) -> Tensor:
        """uint8 (B, H, W, 3) → what the vision towers take, (B, 3, S, S), on their device."""
        batch = torch.from_numpy(np.ascontiguousarray(images)).to(self.device)
        size = self.image_size
        if batch.shape[1:3] != (size, size):
            planes = batch.permute(0, 3, 1, 2).float()
            planes = F.interpolate(
                planes, (size, size), mode="bicubic", align_corners=False, antialias=True
            )
            batch = planes.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1)
        return self.checkpoint.pixels(batch)

    def _see(self, images: np.ndarray) -> Tensor:
        """Pictures → the vision tower's states (B, 1 + patches, C)."""
        return self.retrieval.vision_model(self._pixels(images)).last_hidden_state

    def _image_batch(self) -> int:
        patches = self.retrieval.vision_model.embeddings.num_patches
        return max(1, min(128, PATCHES // patches))

    def _batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        step = self._image_batch()
        for first in range(0, len(images), step):
            yield images[first : first + step]

    def _by_length(
        self, ids: Sequence[Sequence[int]], *, most: int = 128
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Batches of texts of like length: their rows, ids (B, T) and mask (B, T)."""
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        for first in range(0, len(order), most):
            rows = order[first : first + most]
            table, present = padded([ids[row] for row in rows], pad=self.tokenizer.pad_token_id)
            yield torch.tensor(rows), table.to(self.device), present.to(self.device)
