"""BLIP's parts in a folder: retrieval model, captioner, tokenizer, how pictures are fed to them.

`FOLDER/retrieval` and `FOLDER/captioner` are plain Hugging Face checkpoints, so that
`BlipForImageTextRetrieval.from_pretrained` and `BlipForConditionalGeneration.from_pretrained` load
them, and `BlipProcessor.from_pretrained` their preprocessing. Where there is a `FOLDER/stem`, their
`pixel_values` are what `BlipStem` makes of the processor's, whose size they would refuse.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save_file
from torch import Tensor
from transformers import BertTokenizer
from transformers.models.blip.configuration_blip import BlipConfig
from transformers.models.blip.modeling_blip import (
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipPreTrainedModel,
)

from pipeline.data.tokenizer import ENCODE
from pipeline.errors import UserError
from pipeline.files import replacing, write_json
from pipeline.models.blip_reader import PREPROCESSOR, load_preprocessor, normalised
from pipeline.models.blip_sizes import SHRINKING, STEM, BlipSizes
from pipeline.models.blip_stem import BlipStem, load_stem, shrinking
from pipeline.models.blip_thresholds import (
    PUBLISHED,
    THRESHOLDS,
    MatchThresholds,
    load_thresholds,
)
from pipeline.models.storage import WEIGHTS, kept
from pipeline.sealing import check_folder, seal_folder

M = TypeVar("M", bound=BlipPreTrainedModel)

# Of the pictures that CLIP was trained on; BLIP's checkpoints were fed with these too.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
SHARPER = 2.0  # than other weights begin: how much a patch heeds those that are like it
BICUBIC = 3  # Pillow's number for it, which the preprocessor's file holds


@dataclass(frozen=True)
class BlipCheckpoint:
    """All that BLIP needs; both models read the same pieces of text and the same pictures.

    Attributes:
        mean, std: of pictures in [0, 1], one for each of red, green, blue.
        thresholds: of matching.
        stem: what both models see pictures through; None: they see pixels.
    """

    retrieval: BlipForImageTextRetrieval
    captioner: BlipForConditionalGeneration
    tokenizer: BertTokenizer
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    thresholds: MatchThresholds = PUBLISHED
    stem: BlipStem | None = None

    @property
    def image_size(self) -> int:
        """Side of the square pictures that BLIP takes, in pixels."""
        return _image_size(self.retrieval) * shrinking(self.stem)

    @property
    def encode_id(self) -> int:
        """The id of `[ENC]`, which starts a text that is read beside a picture."""
        # Hugging Face's tokenizers of BLIP's checkpoints lack both of BLIP's own tokens; BLIP gave
        # [ENC] the place behind [DEC], the one that the text model calls its bos token.
        known = self.tokenizer.get_vocab().get(ENCODE)
        return self.decode_id + 1 if known is None else known

    @property
    def decode_id(self) -> int:
        """The id of `[DEC]`, which starts a text that the captioner writes."""
        token = self.captioner.text_decoder.config.bos_token_id
        assert token is not None, "BLIP's decoder begins with a token"
        return token

    @property
    def text_limit(self) -> int:
        """Most tokens of a text that both models have places for."""
        texts = (self.retrieval.text_encoder, self.captioner.text_decoder)
        return min(int(model.config.max_position_embeddings) for model in texts)

    def set_search(self, *, max_length: int, num_beams: int) -> None:
        """How a caption is looked for; saved with the captioner.

        Args:
            max_length: most tokens of a caption, `[DEC]` and `[SEP]` included.
            num_beams: 1 for the likeliest token each time.
        """
        search = self.captioner.generation_config
        search.max_length, search.num_beams = max_length, num_beams

    def pixels(self, images: Tensor) -> Tensor:
        """uint8 (B, S, S, 3) of BLIP's size → normalised float (B, 3, S, S)."""
        return normalised(images, self.mean, self.std)

    def save(self, folder: Path | str) -> None:
        """Write all parts; `folder` appears when it is whole."""
        folder = Path(folder)
        size = {"height": self.image_size, "width": self.image_size}
        preprocessor = {
            "image_processor_type": "BlipImageProcessor",
            "processor_class": "BlipProcessor",
            "do_convert_rgb": True,
            "do_resize": True,
            "size": size,
            "resample": BICUBIC,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }
        with replacing(folder) as aside:
            for name, model in (("retrieval", self.retrieval), ("captioner", self.captioner)):
                model.save_pretrained(aside / name)
                _keep(aside / name / WEIGHTS)
                self.tokenizer.save_pretrained(aside / name)
                text = json.dumps(preprocessor, indent=2) + "\n"
                (aside / name / PREPROCESSOR).write_text(text, encoding="utf-8", newline="\n")
            if self.stem:
                self.stem.save_pretrained(aside / STEM)
            write_json(aside / THRESHOLDS, asdict(self.thresholds))
            seal_folder(aside)

    @classmethod
    def load(cls, folder: Path | str) -> BlipCheckpoint:
        """Read what `save` wrote, or the two folders of a fetched checkpoint.

        Raises:
            UserError: a file is missing or damaged, or the two don't go together.
        """
        folder = Path(folder)
        check_folder(folder)
        retrieval, captioner = folder / "retrieval", folder / "captioner"
        first, second = (load_preprocessor(part) for part in (retrieval, captioner))
        if (first.mean, first.std) != (second.mean, second.std):
            raise UserError(f"{folder}: retrieval and captioner normalise pictures differently")
        models = (
            _load_model(BlipForImageTextRetrieval, retrieval),
            _load_model(BlipForConditionalGeneration, captioner),
        )
        checkpoint = cls(
            *models,
            _load_tokenizer(retrieval),
            first.mean,
            first.std,
            load_thresholds(folder),
            load_stem(folder, fed=first.size, tower=_image_size(models[0])),
        )
        sizes = [_image_size(model) * shrinking(checkpoint.stem) for model in models]
        if sizes[0] != sizes[1]:
            raise UserError(
                f"{folder}: retrieval takes pictures of {sizes[0]} pixels, "
                f"captioner of {sizes[1]}: expected the same"
            )
        if checkpoint.tokenizer.get_vocab() != _load_tokenizer(captioner).get_vocab():
            raise UserError(f"{folder}: retrieval and captioner have different vocabularies")
        words = checkpoint.retrieval.text_encoder.config.vocab_size
        if checkpoint.encode_id >= words:
            raise UserError(
                f"{retrieval}: {ENCODE} would be token {checkpoint.encode_id}, "
                f"but the text model knows {words}"
            )
        return checkpoint


def build_checkpoint(sizes: BlipSizes, tokenizer: BertTokenizer) -> BlipCheckpoint:
    """A new BLIP whose two models share one vision tower and, as BLIP's pre-training has it, the
    text layers but for self-attention (https://arxiv.org/abs/2201.12086, section 3.2).

    The weights come from torch's global generator.
    """
    config = _scratch_config(sizes, tokenizer)
    retrieval = BlipForImageTextRetrieval(config)
    captioner = BlipForConditionalGeneration(config)
    share_parts(retrieval, captioner)
    with torch.no_grad():
        place = retrieval.vision_model.embeddings.position_embedding
        place.copy_(grid_positions(sizes.image_size // sizes.patch_size, sizes.hidden_size))
        for layer in retrieval.vision_model.encoder.layers:
            look_around(layer.get_parameter("self_attn.qkv.weight"))
    stem = BlipStem(channel=sizes.stem_channel).eval() if sizes.stem_channel else None
    return BlipCheckpoint(retrieval.eval(), captioner.eval(), tokenizer, stem=stem)


def share_parts(
    retrieval: BlipForImageTextRetrieval, captioner: BlipForConditionalGeneration
) -> None:
    """Make the captioner use the retrieval model's vision tower and all but text self-attention."""
    captioner.vision_model = retrieval.vision_model
    encoder, decoder = retrieval.text_encoder, captioner.text_decoder
    decoder.bert.embeddings = encoder.embeddings
    for own, shared in zip(decoder.bert.encoder.layer, encoder.encoder.layer, strict=True):
        own.crossattention = shared.crossattention
        own.intermediate, own.output = shared.intermediate, shared.output
    decoder.tie_weights()


def look_around(weight: Tensor) -> None:
    """Make an attention layer begin by looking at what is alike, which is what lies near.

    Keys begin as queries do, so that a patch heeds those of a like place and look; towers that have
    learned do so (https://arxiv.org/abs/2305.09828), and from few pictures they would not find it.

    Args:
        weight: (3 D, D), of queries, keys and values; changed in place.
    """
    queries, keys, _ = weight.chunk(3)
    queries.mul_(SHARPER)
    keys.copy_(queries)


def grid_positions(side: int, width: int) -> Tensor:
    """Sines and cosines of a patch's row and column (https://arxiv.org/abs/2205.01580).

    A tower that learns the order of its patches by itself needs far more pictures.

    Returns:
        (1, 1 + side * side, width) in [-1, 1]; the first, the class token's, is 0.
    """
    quarter = width // 4
    # From a wave over the whole side, twice, to one over three patches: slower ones would be the
    # same everywhere.
    speeds = (2.0 * side / math.pi) ** (-torch.arange(quarter) / max(1, quarter - 1))
    angles = torch.arange(side)[:, None] * speeds * 2  # (side, quarter)
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = waves[:, None].expand(side, side, -1)
    columns = waves[None].expand(side, side, -1)
    table = torch.cat([rows, columns], dim=2).flatten(0, 1)
    return torch.nn.functional.pad(table, (0, width - 4 * quarter, 1, 0))[None]


def _scratch_config(sizes: BlipSizes, tokenizer: BertTokenizer) -> BlipConfig:
    smaller = SHRINKING if sizes.stem_channel else 1
    # Deep and wide models need small weights to start; these are neither.
    spread = 0.5 * sizes.hidden_size**-0.5
    common = {
        "hidden_size": sizes.hidden_size,
        "intermediate_size": 4 * sizes.hidden_size,
        "num_attention_heads": sizes.heads,
        "initializer_range": spread,
    }
    return BlipConfig(
        vision_config={
            **common,
            "num_hidden_layers": sizes.vision_layers,
            "image_size": sizes.image_size // smaller,
            "patch_size": sizes.patch_size // smaller,
        },
        text_config={
            **common,
            "num_hidden_layers": sizes.text_layers,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": tokenizer.model_max_length,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.sep_token_id,
            "sep_token_id": tokenizer.sep_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        image_text_hidden_size=sizes.projection_dim,
        initializer_range=spread,
    )


def _image_size(model: BlipForImageTextRetrieval | BlipForConditionalGeneration) -> int:
    size = model.vision_model.config.image_size
    assert isinstance(size, int), "BLIP's pictures are squares"
    return size


def _keep(weights: Path) -> None:
    """Store the weights that transformers wrote as those of the other models are stored."""
    # Not on their way to transformers, which tells shared weights by where they lie in memory.
    # Read as bytes, not mapped: the file that is written is the one that was read.
    save_file(kept(read_tensors(weights.read_bytes())), weights, metadata={"format": "pt"})


def _load_model(kind: type[M], folder: Path) -> M:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected a checkpoint of {kind.__name__}")
    try:
        loaded: Any = kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,  # whatever it is stored in
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}: no checkpoint of {kind.__name__}: {reason}") from None
    model, report = loaded
    # transformers would go on with random numbers in their place.
    if missing := sorted(report["missing_keys"]):
        raise UserError(f"{folder}: no checkpoint of {kind.__name__}: it lacks {missing[0]}")
    return model.eval()


def _load_tokenizer(folder: Path) -> BertTokenizer:
    try:
        return BertTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder}: no tokenizer: {' '.join(str(error).split())[:200]}") from None
