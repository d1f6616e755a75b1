"""BLIP (https://arxiv.org/abs/2201.12086) at work: embed pictures and texts, match, caption.

Pictures are uint8 (N, H, W, 3) squares of any size; answers stand in the order of what was asked.
What is measured comes as numpy arrays, what conditions a model as tensors on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.data.tokenizer import WordPieces
from pipeline.models.blip_checkpoint import BlipCheckpoint
from pipeline.models.blip_reader import BlipReader


class Blip(BlipReader):
    """A trained BLIP by transformers: all that a `BlipReader` does; it embeds, matches, captions.

    Attributes:
        thresholds: of `match`.
    """

    def __init__(self, checkpoint: BlipCheckpoint) -> None:
        super().__init__(
            checkpoint.retrieval.eval(),
            checkpoint.captioner.eval(),
            pieces=WordPieces.of(checkpoint.tokenizer),
            decode_id=checkpoint.decode_id,
            image_size=checkpoint.image_size,
            mean=checkpoint.mean,
            std=checkpoint.std,
            stem=checkpoint.stem.eval() if checkpoint.stem else None,
        )
        self.checkpoint = checkpoint
        self.tokenizer, self.thresholds = checkpoint.tokenizer, checkpoint.thresholds

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load `folder` with its `retrieval` and `captioner`.

        Raises:
            UserError: a file is missing or damaged.
        """
        return cls(BlipCheckpoint.load(Path(folder)))

    @torch.inference_mode()
    def embed_images(self, images: np.ndarray) -> np.ndarray:
        """Pictures → float32 (N, D), L2-normalised."""
        project = self.retrieval.vision_proj
        vectors = [
            F.normalize(project(self._see(self._pixels(batch))[:, 0]), dim=-1).cpu()
            for batch in self._batches(images)
        ]
        return torch.cat([torch.zeros(0, self.embed_dim), *vectors]).numpy()

    @torch.inference_mode()
    def match(self, images: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """How likely each picture and its text belong together: float32 (N,) in [0, 1]."""
        if len(images) != len(texts):
            raise ValueError(f"{len(images)} pictures and {len(texts)} texts: expected as many")
        ids = self.pieces.ids(texts)
        scores = torch.zeros(len(ids))
        for rows, batch, present in self._by_length(ids, most=self.batch):
            batch[:, 0] = self.checkpoint.encode_id
            states = self._read(batch, present, self._see(self._pixels(images[rows.numpy()])))
            logits = self.retrieval.itm_head(states[-1][:, 0])  # (B, 2): no match, match
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

    def _read(self, ids: Tensor, present: Tensor, pictures: Tensor | None = None) -> list[Tensor]:
        states: tuple[Tensor, ...] = self.retrieval.text_encoder(
            input_ids=ids,
            attention_mask=present.long(),
            encoder_hidden_states=pictures,
            output_hidden_states=True,
        ).hidden_states
        return list(states)

    def _see(self, pixels: Tensor) -> Tensor:
        """What `_pixels` made → the states (B, 1 + patches, C) of the retrieval model's tower."""
        states: Tensor = self.retrieval.vision_model(pixels).last_hidden_state
        return states

    def _look(self, pixels: Tensor) -> Tensor:
        states: Tensor = self.captioner.vision_model(pixels).last_hidden_state
        return states

    def _write(self, ids: Tensor, pictures: Tensor) -> Tensor:
        logits: Tensor = self.captioner.text_decoder(
            input_ids=ids,
            encoder_hidden_states=pictures,
            use_cache=False,  # it lays keys out in another way, whose products round otherwise
        ).logits
        return logits
