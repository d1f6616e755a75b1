"""How BLIP learns: contrast, matching and captioning (https://arxiv.org/abs/2201.12086).

`BlipForImageTextRetrieval` computes no loss, and does not begin the texts that it reads beside a
picture with `[ENC]`, as BLIP's matching head was trained. Both are here.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.models.blip_checkpoint import BlipCheckpoint
from pipeline.progress import say
from pipeline.training.blip_data import Matches, Texts, repeated
from pipeline.training.blip_progress import LOSSES, at_rest, unlearned
from pipeline.training.blip_settings import BlipSettings
from pipeline.training.blip_views import augmented
from pipeline.training.contrast import contrast, gather_contrast
from pipeline.training.loop import Curve
from pipeline.training.negatives import ChangedCaptions, draw_negatives, negative_weights
from pipeline.training.shorter import ShorterCaptions

TEMPERATURE = 0.07  # where BLIP's starts
COLDEST, WARMEST = 0.001, 0.5
OUTER = re.compile(r"(word|position|class)_embedding|_proj\.|itm_head|predictions")
VISION = "retrieval.vision_model"
LAYER = re.compile(r"\.layers?\.(\d+)\.")


@dataclass(frozen=True)
class Batch:
    """B pictures, n of them with a caption, m of them with a labelled passage.

    Attributes:
        pixels: (B, 3, S, S) float, normalised.
        captioned: (n,) int64, which of the B.
        captions: their texts.
        said: what captioning is to say of them: their texts, or shorter ones that are true.
        pictures, caption_rows: (n,) int64, what they are in `matches`.
        labelled: (m,) int64, which of the B.
        passages: their texts.
        is_match: (m,) bool, whether text and picture go together.
        matches: the split that the batch is of, and `changed`: its captions with a change.
    """

    pixels: Tensor
    captioned: Tensor
    captions: Texts
    said: Texts
    pictures: Tensor
    caption_rows: Tensor
    labelled: Tensor
    passages: Texts
    is_match: Tensor
    matches: Matches
    changed: ChangedCaptions


class BlipObjectives(nn.Module):
    """Both models of a checkpoint, with the losses that train them; a shared part counts once."""

    def __init__(self, checkpoint: BlipCheckpoint, settings: BlipSettings) -> None:
        super().__init__()
        self.settings = settings
        self.retrieval = checkpoint.retrieval
        self.captioner = checkpoint.captioner
        self.stem: nn.Module = checkpoint.stem or nn.Identity()
        self.temperature = nn.Parameter(torch.tensor(TEMPERATURE))
        self.encode_id, self.decode_id = checkpoint.encode_id, checkpoint.decode_id
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = settings.dropout

    def forward(self, batch: Batch, resting: Collection[str] = ()) -> dict[str, Tensor]:
        """The losses `itc`, `itm` and `lm`, and shares of what was right; all scalars.

        Beside each stands its `_blind` value, which a model has that makes nothing of the pictures:
        of an even guess, of the base rate, and (in validation only) of captions beside others'
        pictures.

        Args:
            resting: losses that are not worked out.
        """
        pixels = self.stem(batch.pixels)
        image_states: Tensor = self.retrieval.vision_model(pixels).last_hidden_state
        figures, similarity, weights = self._contrast(image_states, batch)
        if "itm" not in resting:
            figures |= self._matching(image_states, batch, similarity, weights)
        if "lm" not in resting:
            if self.captioner.vision_model is not self.retrieval.vision_model:
                image_states = self.captioner.vision_model(pixels).last_hidden_state
            figures |= self._captioning(image_states[batch.captioned], batch.said)
        return {name: value for name, value in figures.items() if name not in resting}

    def _contrast(
        self, image_states: Tensor, batch: Batch
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The loss; similarities and weights as negatives (n, n) of the process's own pairs."""
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
        is_match, weights = self._negatives(batch, batch.pictures, batch.caption_rows)
        similarity = self._similarity(image_features, text_features).detach()
        own_weights = weights
        if self.training:
            image_features, text_features, pictures, rows = gather_contrast(
                image_features, text_features, batch.pictures, batch.caption_rows
            )
            is_match, weights = self._negatives(batch, pictures, rows)
        loss = contrast(self._similarity(image_features, text_features), is_match, weights)
        blind = contrast(torch.zeros_like(weights), is_match, weights)
        return {"itc": loss, "itc_blind": blind}, similarity, own_weights

    def _negatives(self, batch: Batch, pictures: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Which pairs match, and how much the others are negatives: (n, n) bool and float."""
        is_match = batch.matches.matching(pictures, rows)
        captions = batch.matches.captions[rows.cpu()].to(rows.device)
        weights = negative_weights(
            captions, captions, is_match, doubtful_weight=self.settings.doubtful_weight
        )
        return is_match, weights

    def _similarity(self, image_features: Tensor, text_features: Tensor) -> Tensor:
        with torch.autocast(image_features.device.type, enabled=False):  # a small temperature
            return image_features @ text_features.T / self.temperature  # magnifies what bf16 loses

    def _matching(
        self, image_states: Tensor, batch: Batch, similarity: Tensor, weights: Tensor
    ) -> dict[str, Tensor]:
        """True pairs against negatives, and the passages that have a label."""
        shares, device = self.settings.negatives, image_states.device
        own = torch.arange(math.ceil(self.settings.match_share * len(weights)), device=device)
        labels = batch.matches.labels[batch.pictures[own].cpu()].to(device)
        same = (labels[:, None] == batch.matches.labels[batch.pictures.cpu()].to(device)) & (
            labels[:, None] >= 0
        )
        of_picture, others = draw_negatives(similarity[own], weights[own], same, shares)
        of_text, other_pictures = draw_negatives(similarity.T[own], weights.T[own], same, shares)
        of_picture, other_rows = self._some_changed(batch, own, of_picture, others)
        logits, targets = [], []
        if len(of_picture) or len(of_text):
            pictures = torch.cat([own, of_picture, other_pictures])
            rows = torch.cat([batch.caption_rows[own], other_rows, batch.caption_rows[of_text]])
            beside = image_states[batch.captioned[pictures]]
            texts = batch.matches.captions[rows.cpu()].to(device)
            logits.append(self._match(beside, texts))
            targets.append(torch.arange(len(pictures), device=device) < len(own))
        if len(batch.labelled):
            logits.append(self._match(image_states[batch.labelled], batch.passages))
            targets.append(batch.is_match)
        if not logits:  # one picture, or one caption for all: nothing to tell apart
            zero = image_states.new_zeros((), dtype=torch.float32)
            return {"itm": zero, "itm_blind": zero, "itm_accuracy": zero, "itm_skipped": zero + 1}
        scores, wanted = torch.cat(logits).float(), torch.cat(targets).long()
        rate = wanted.float().mean()
        return {
            "itm": F.cross_entropy(scores, wanted),
            "itm_blind": -(torch.xlogy(rate, rate) + torch.xlogy(1 - rate, 1 - rate)),
            "itm_accuracy": (scores.argmax(1) == wanted).float().mean(),
            "itm_skipped": scores.new_zeros(()),
        }

    def _some_changed(
        self, batch: Batch, own: Tensor, of_picture: Tensor, others: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Give a share of the pictures `own`, and those without a negative in the batch, a caption
        with a change; returns pictures that have a negative, and the row of its caption.
        """
        shares, device = self.settings.negatives, own.device
        if not shares.changed:
            return of_picture, batch.caption_rows[others]
        rows = torch.full_like(own, -1)
        rows[of_picture] = batch.caption_rows[others]
        places, changed = batch.changed.draw(batch.caption_rows[own].cpu())
        places, changed = places.to(device), changed.to(device)
        share = shares.changed / (shares.even + shares.hard + shares.same_label + shares.changed)
        kept = ~batch.matches.is_known(batch.pictures[places], changed)
        kept &= (torch.rand(len(own)).to(device)[places] < share) | (rows[places] < 0)
        rows[places[kept]] = changed[kept]
        has_one = (rows >= 0).nonzero()[:, 0]
        return has_one, rows[has_one]

    def see(self, pixels: Tensor) -> Tensor:
        """Normalised pictures → the states (B, P, C) that the texts are read beside."""
        return self.retrieval.vision_model(self.stem(pixels)).last_hidden_state

    def probabilities(self, image_states: Tensor, texts: Texts) -> Tensor:
        """How likely each of N pictures and its text belong together: (N,) on the CPU."""
        if not len(image_states):
            return torch.zeros(0)
        scores = self._match(image_states, texts.to(image_states.device))
        return scores.float().softmax(1)[:, 1].cpu()

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
            return {"lm": zero, "lm_exact": zero} | ({} if self.training else {"lm_blind": zero})
        lm, whole = self._write(image_states, texts)
        if self.training:
            return {"lm": lm, "lm_exact": whole}
        blind, _ = self._write(image_states.roll(1, 0), texts)
        return {"lm": lm, "lm_exact": whole, "lm_blind": blind}

    def _write(self, image_states: Tensor, texts: Texts) -> tuple[Tensor, Tensor]:
        """The loss of the texts beside these pictures, and the share that is entirely right."""
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
        return lm, whole


class BlipTask:
    """What `fit` trains: a row is a picture, with one of its captions and one of its passages."""

    def __init__(
        self, checkpoint: BlipCheckpoint, train: Matches, val: Matches, settings: BlipSettings
    ) -> None:
        self.objectives = BlipObjectives(checkpoint, settings)
        self.model: nn.Module = self.objectives
        self.checkpoint, self.settings = checkpoint, settings
        self.train, self.val = train, val
        self.train_changed, self.val_changed = (
            ChangedCaptions.of(split.captions, doubtful_weight=settings.doubtful_weight)
            for split in (train, val)
        )
        share = settings.shorter_share
        self.shorter = ShorterCaptions.of(train.captions) if share else None
        self.shown = repeated(train.labels, below=settings.rare_below)
        self.rows = len(self.shown)
        self.resting: frozenset[str] = frozenset()
        self.said: set[str] = set()  # what was found to be unlearned

    def loss(self, model: nn.Module, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the losses that do not rest, on views of the pictures."""
        batch = self._batch(self.train, self.train_changed, self.shown[rows])
        batch = dataclasses.replace(batch, pixels=augmented(batch.pixels, self.settings.views))
        if self.shorter is not None:
            share = self.settings.shorter_share
            said = self.train.captions[self.shorter.draw(batch.caption_rows.cpu(), share=share)]
            batch = dataclasses.replace(batch, said=said.to(batch.pixels.device))
        figures = model(batch, self.resting)
        figures["temperature"] = self.objectives.temperature.detach().clone()  # before this step
        return self._sum(figures), figures

    def validate(self, model: nn.Module) -> dict[str, float]:
        """The sum of all three, and shares, on the validation pictures."""
        totals: dict[str, float] = {}
        for rows in torch.arange(len(self.val)).split(self.settings.batch_size):
            figures = model(self._batch(self.val, self.val_changed, rows))
            figures["loss"] = self._sum(figures)
            for name, value in figures.items():
                totals[name] = totals.get(name, 0.0) + float(value) * len(rows)
        return {name: total / len(self.val) for name, total in totals.items()}

    def follow(self, curve: Curve) -> bool:
        """Let rest what no longer gains, by the curve so far; returns whether all does."""
        self.resting = at_rest(curve, patience=self.settings.rest_after)
        if curve and curve[-1]["step"] >= self.settings.steps / 3:
            for name, line in unlearned(curve[-1]).items():
                if name not in self.said:
                    say(f"BLIP, step {curve[-1]['step']}: {line}")
                self.said.add(name)
        return len(self.resting) == len(LOSSES)

    def lr_shares(self) -> dict[str, float]:
        """The share of lr that each parameter has."""
        return layer_lrs(self.model, decay=self.settings.layer_decay)

    def by_muon(self) -> list[str]:
        """Names of the weights that Muon moves, if it is asked for: all that multiply features.

        Not tables of words and places nor the last layers of a head, after Muon's author.
        """
        return [
            name
            for name, parameter in self.model.named_parameters()
            if self.settings.muon and parameter.ndim >= 2 and not OUTER.search(name)
        ]

    def _sum(self, figures: dict[str, Tensor]) -> Tensor:
        s = self.settings
        weights = {"itc": s.itc_weight, "itm": s.itm_weight, "lm": s.lm_weight}
        counted = [w * figures[name] for name, w in weights.items() if name in figures]
        return torch.stack(counted).sum()

    def _batch(self, matches: Matches, changed: ChangedCaptions, pictures: Tensor) -> Batch:
        device = self.objectives.temperature.device
        captioned, captions = matches.captions_of.draw(pictures)
        read = torch.rand(len(pictures)) < self.settings.passage_share
        labelled, passages = matches.passages_of.draw(pictures, among=read)
        texts = matches.captions[captions].to(device)
        pixels = self.checkpoint.pixels(matches.images[pictures].to(device))
        return Batch(
            pixels=pixels,
            captioned=captioned.to(device),
            captions=texts,
            said=texts,
            pictures=pictures[captioned].to(device),
            caption_rows=captions.to(device),
            labelled=labelled.to(device),
            passages=matches.passages[passages].to(device),
            is_match=matches.is_match[passages].to(device),
            matches=matches,
            changed=changed,
        )


def layer_lrs(model: nn.Module, *, decay: float) -> dict[str, float]:
    """The share of lr that each parameter has: `decay` of it for each layer that lies above.

    So the first layers of a checkpoint, which see edges and read words, change least
    (https://arxiv.org/abs/1801.06146, section 3.2; the numbering is BEiT's).
    """
    names = [name for name, _ in model.named_parameters()]
    layers: dict[str, int] = {}
    for name in names:
        if found := LAYER.search(name):
            layers[_tower(name)] = max(layers.get(_tower(name), 0), int(found[1]) + 1)
    shares = {}
    for name in names:
        found, depth = LAYER.search(name), layers.get(_tower(name), 0)
        above = depth - int(found[1]) if found else depth + 1 if "embedding" in name else 0
        if name.startswith("stem."):  # below what the vision tower's patches are made by
            above = layers.get(VISION, 0) + 2
        shares[name] = decay**above
    return shares


def _tower(name: str) -> str:
    """`retrieval.vision_model`, say."""
    return ".".join(name.split(".")[:2])
