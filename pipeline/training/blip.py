"""How BLIP learns: contrast, matching and captioning (https://arxiv.org/abs/2201.12086).

`BlipForImageTextRetrieval` computes no loss, and does not begin the texts that it reads beside a
picture with `[ENC]`, as BLIP's matching head was trained. Both are here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.data.views import shifted
from pipeline.models.blip_checkpoint import BlipCheckpoint
from pipeline.training.blip_data import Matches, Texts
from pipeline.training.blip_settings import BlipSettings
from pipeline.training.contrast import contrast, draw_negatives, gather_contrast

TEMPERATURE = 0.07  # where BLIP's starts
COLDEST, WARMEST = 0.001, 0.5


@dataclass(frozen=True)
class Batch:
    """B pictures, n of them with a caption, m of them with a labelled passage.

    Attributes:
        pixels: (B, 3, S, S) float, normalised.
        captioned: (n,) int64, which of the B.
        captions: their texts.
        pictures, caption_rows: (n,) int64, what they are in `matches`.
        labelled: (m,) int64, which of the B.
        passages: their texts.
        is_match: (m,) bool, whether text and picture go together.
        matches: the split that the batch is of.
    """

    pixels: Tensor
    captioned: Tensor
    captions: Texts
    pictures: Tensor
    caption_rows: Tensor
    labelled: Tensor
    passages: Texts
    is_match: Tensor
    matches: Matches


class BlipObjectives(nn.Module):
    """Both models of a checkpoint, with the losses that train them; a shared part counts once."""

    def __init__(self, checkpoint: BlipCheckpoint, *, match_share: float = 1.0) -> None:
        super().__init__()
        self.match_share = match_share
        self.retrieval = checkpoint.retrieval
        self.captioner = checkpoint.captioner
        self.temperature = nn.Parameter(torch.tensor(TEMPERATURE))
        self.encode_id, self.decode_id = checkpoint.encode_id, checkpoint.decode_id

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The losses `itc`, `itm` and `lm`, and shares of what was right; all scalars."""
        image_states = self.retrieval.vision_model(batch.pixels).last_hidden_state  # (B, P, C)
        itc, similarity, is_match = self._contrast(image_states, batch)
        figures = {"itc": itc}
        figures |= self._matching(image_states, batch, similarity, is_match)
        if self.captioner.vision_model is not self.retrieval.vision_model:
            image_states = self.captioner.vision_model(batch.pixels).last_hidden_state
        return figures | self._captioning(image_states[batch.captioned], batch.captions)

    def _contrast(self, image_states: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The loss; similarities and matches (n, n) of the process's own pictures and texts."""
        classes = image_states[batch.captioned, 0]
        image_features = F.normalize(self.retrieval.vision_proj(classes).float(), dim=1)
        text_features = image_features.detach()  # as empty, where there is no caption
        if len(batch.captioned):
            texts = self.retrieval.text_encoder(
                input_ids=batch.captions.ids, attention_mask=batch.captions.present.long()
            ).last_hidden_state
            text_features = F.normalize(self.retrieval.text_proj(texts[:, 0]).float(), dim=1)
        with torch.no_grad():
            self.temperature.clamp_(COLDEST, WARMEST)
        is_match = batch.matches.matching(batch.pictures, batch.caption_rows)
        similarity = self._similarity(image_features, text_features).detach()
        if self.training:
            image_features, text_features, pictures, rows = gather_contrast(
                image_features, text_features, batch.pictures, batch.caption_rows
            )
            everywhere = batch.matches.matching(pictures, rows)
        else:
            everywhere = is_match
        loss = contrast(self._similarity(image_features, text_features), everywhere)
        return loss, similarity, is_match

    def _similarity(self, image_features: Tensor, text_features: Tensor) -> Tensor:
        with torch.autocast(image_features.device.type, enabled=False):  # a small temperature
            return image_features @ text_features.T / self.temperature  # magnifies what bf16 loses

    def _matching(
        self, image_states: Tensor, batch: Batch, similarity: Tensor, is_match: Tensor
    ) -> dict[str, Tensor]:
        """True pairs against hard negatives of the batch, and the passages that have a label."""
        own = torch.arange(math.ceil(self.match_share * len(is_match)), device=image_states.device)
        of_picture, other_texts = draw_negatives(similarity[own], is_match[own])
        of_text, other_pictures = draw_negatives(similarity.T[own], is_match.T[own])
        logits, targets = [], []
        if len(of_picture) or len(of_text):
            pictures = torch.cat([own, of_picture, other_pictures])
            texts = torch.cat([own, other_texts, of_text])
            beside = image_states[batch.captioned[pictures]]
            logits.append(self._match(beside, batch.captions[texts]))
            targets.append(torch.arange(len(pictures), device=image_states.device) < len(own))
        if len(batch.labelled):
            logits.append(self._match(image_states[batch.labelled], batch.passages))
            targets.append(batch.is_match)
        if not logits:  # one picture, or one caption for all: nothing to tell apart
            zero = image_states.new_zeros((), dtype=torch.float32)
            return {"itm": zero, "itm_accuracy": zero, "itm_skipped": zero + 1}
        scores, wanted = torch.cat(logits).float(), torch.cat(targets).long()
        right = (scores.argmax(1) == wanted).float().mean()
        skipped = scores.new_zeros(())
        itm = F.cross_entropy(scores, wanted)
        return {"itm": itm, "itm_accuracy": right, "itm_skipped": skipped}

    def _match(self, image_states: Tensor, texts: Texts) -> Tensor:
        """Logits (N, 2) of "no match" and "match"."""
        ids = texts.ids.clone()
        ids[:, 0] = self.encode_id
        states = self.retrieval.text_encoder(
            input_ids=ids, attention_mask=texts.present.long(), encoder_hidden_states=image_states
        ).last_hidden_state
        return self.retrieval.itm_head(states[:, 0])

    def _captioning(self, image_states: Tensor, texts: Texts) -> dict[str, Tensor]:
        if not len(image_states):
            zero = image_states.new_zeros((), dtype=torch.float32)
            return {"lm": zero, "lm_exact": zero}
        ids = texts.ids.clone()
        ids[:, 0] = self.decode_id
        logits = self.captioner.text_decoder(
            input_ids=ids, attention_mask=texts.present.long(), encoder_hidden_states=image_states
        ).logits[:, :-1]
        wanted = ids[:, 1:].masked_fill(~texts.present[:, 1:], -100)
        smoothing = self.captioner.text_decoder.label_smoothing
        lm = F.cross_entropy(
            logits.flatten(0, 1).float(), wanted.flatten(), label_smoothing=smoothing
        )
        # Where every next token is right after the true ones, a greedy search finds them all.
        whole = ((logits.argmax(2) == wanted) | (wanted == -100)).all(1).float().mean()
        return {"lm": lm, "lm_exact": whole}


class BlipTask:
    """What `fit` trains: a row is a picture, with one of its captions and one of its passages."""

    def __init__(
        self, checkpoint: BlipCheckpoint, train: Matches, val: Matches, settings: BlipSettings
    ) -> None:
        self.objectives = BlipObjectives(checkpoint, match_share=settings.match_share)
        self.model: nn.Module = self.objectives
        self.checkpoint, self.settings = checkpoint, settings
        self.train, self.val = train, val
        self.rows = len(train)

    def loss(self, model: nn.Module, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the three losses, on shifted pictures."""
        figures = model(self._batch(self.train, rows, max_shift=self.settings.max_shift))
        figures["temperature"] = self.objectives.temperature.detach().clone()  # before this step
        return self._sum(figures), figures

    def validate(self, model: nn.Module) -> dict[str, float]:
        """The same sum and shares on the validation pictures."""
        totals: dict[str, float] = {}
        for rows in torch.arange(len(self.val)).split(self.settings.batch_size):
            figures = model(self._batch(self.val, rows, max_shift=0))
            figures["loss"] = self._sum(figures)
            for name, value in figures.items():
                totals[name] = totals.get(name, 0.0) + float(value) * len(rows)
        return {name: total / len(self.val) for name, total in totals.items()}

    def _sum(self, figures: dict[str, Tensor]) -> Tensor:
        s = self.settings
        return (
            s.itc_weight * figures["itc"]
            + s.itm_weight * figures["itm"]
            + s.lm_weight * figures["lm"]
        )

    def _batch(self, matches: Matches, pictures: Tensor, *, max_shift: int) -> Batch:
        device = self.objectives.temperature.device
        captioned, captions = matches.captions_of.draw(pictures)
        read = torch.rand(len(pictures)) < self.settings.passage_share
        labelled, passages = matches.passages_of.draw(pictures, among=read)
        pixels = self.checkpoint.pixels(matches.images[pictures].to(device))
        return Batch(
            pixels=shifted(pixels, max_shift=max_shift),
            captioned=captioned.to(device),
            captions=matches.captions[captions].to(device),
            pictures=pictures[captioned].to(device),
            caption_rows=captions.to(device),
            labelled=labelled.to(device),
            passages=matches.passages[passages].to(device),
            is_match=matches.is_match[passages].to(device),
            matches=matches,
        )
