"""The section `blip` of params.yaml; read without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from pipeline.data.pairs import Pair, TextsOf
from pipeline.models.blip_sizes import BlipSizes
from pipeline.params import Section
from pipeline.progress import say
from pipeline.training.settings import TrainingSettings

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from pipeline.models.blip_checkpoint import BlipCheckpoint


class NegativeShares(Section):
    """How many of matching's negatives are of which sort, as shares of their sum."""

    even: float = Field(ge=0)  # any other of the batch
    hard: float = Field(ge=0)  # likelier the more similar it seems
    same_label: float = Field(ge=0)  # of a picture of the same thing
    changed: float = Field(ge=0)  # a caption of the training set that says nearly the same

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.even + self.hard + self.same_label + self.changed:
            raise ValueError("all shares are 0: expected one above")
        return self


class ViewSettings(Section):
    """The views of a picture that BLIP learns from."""

    max_shift: int = Field(ge=0)  # in pixels
    mirror: bool  # half of the pictures; not where texts say left or right
    smallest_crop: float = Field(gt=0, le=1)  # of a picture's side; 1: none
    jitter: float = Field(ge=0, le=1)  # of brightness, contrast and depth of colour
    soft_share: float = Field(ge=0, le=1)  # of the pictures, made as soft as painters' are


class BlipSettings(TrainingSettings, BlipSizes):
    """The section `blip` of params.yaml. A checkpoint (`pretrained.blip`) brings its own sizes."""

    vocab_size: int = Field(ge=16)  # most word pieces
    max_text_length: int = Field(ge=4)  # tokens; longer texts are cut
    caption_max_length: int = Field(ge=4)  # tokens of a caption that is written
    num_beams: int = Field(ge=1)
    itc_weight: float = Field(ge=0)
    itm_weight: float = Field(ge=0)
    lm_weight: float = Field(ge=0)
    match_share: float = Field(ge=0, le=1)  # of a batch's pictures matched with captions
    passage_share: float = Field(ge=0, le=1)  # of a batch's pictures matched with a passage
    negatives: NegativeShares
    doubtful_weight: float = Field(ge=0, le=1)  # of negatives that say less or more than a caption
    shorter_share: float = Field(ge=0, le=1)  # of captions, learned as a shorter one that is true
    rare_below: float = Field(ge=0, le=1)  # share of a thing that is shown more often; 0: none
    rest_after: int = Field(ge=0)  # validations without a gain after which a loss rests; 0: never
    muon: bool  # moves hidden weights; AdamW moves the others, or all
    layer_decay: float = Field(gt=0, le=1)  # of lr from each layer to the one below
    dropout: float = Field(ge=0, lt=1)
    views: ViewSettings

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.caption_max_length > self.max_text_length:
            raise ValueError(
                f"caption_max_length = {self.caption_max_length}: expected at most max_text_length"
                f" = {self.max_text_length}"
            )
        if (shift := self.views.max_shift) >= self.image_size:
            raise ValueError(f"views.max_shift = {shift}: expected less than image_size")
        return self

    def start(self, pairs: Sequence[Pair], *, pretrained: Path) -> BlipCheckpoint:
        """What training starts from: the checkpoint in `pretrained` if there is one, else a new
        model whose words come from the texts of `pairs`, its weights from torch's global generator.
        """
        from pipeline.data.tokenizer import train_tokenizer
        from pipeline.models.blip_checkpoint import BlipCheckpoint

        if (pretrained / "retrieval").exists():
            blip = BlipCheckpoint.load(pretrained)
            blip.tokenizer.model_max_length = min(self.max_text_length, blip.text_limit)
            blip.set_search(max_length=self.caption_max_length, num_beams=self.num_beams)
            say(f"BLIP goes on from {pretrained}, whose own sizes count, not those of params.yaml")
            return blip
        return self.build(
            train_tokenizer(
                TextsOf(pairs), vocab_size=self.vocab_size, max_length=self.max_text_length
            )
        )

    def build(self, tokenizer: BertTokenizer) -> BlipCheckpoint:
        """A new model of these sizes."""
        from pipeline.models.blip_checkpoint import build_checkpoint

        blip = build_checkpoint(BlipSizes(**self.values_of(BlipSizes)), tokenizer)
        blip.set_search(max_length=self.caption_max_length, num_beams=self.num_beams)
        return blip
