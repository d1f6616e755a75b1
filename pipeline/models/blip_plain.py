"""What a painter needs of BLIP, by torch alone: who reads texts, and who captions pictures.

`transformers` is the specification, and trains; importing it takes twice as long as importing
torch, which is most of the time that a person waits for a picture. These only read its checkpoints
(`tests/test_blip_reader.py` holds both to the same bits).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pipeline.errors import UserError
from pipeline.models.blip_layers import Shapes, TextDecoder, TextTower, VisionTower

M = TypeVar("M", bound=nn.Module)


class BlipTexts(nn.Module):
    """The half of `transformers.BlipForImageTextRetrieval` that reads texts."""

    def __init__(self, config: dict[str, Any], shapes: Shapes) -> None:
        """Build it without weights, by what transformers wrote of it and their shapes by name."""
        super().__init__()
        self.text_encoder = TextTower(_of_gelu(config, "text_config"), shapes, at="text_encoder")
        outputs, inputs = shapes["text_proj.weight"]
        self.text_proj = nn.Linear(inputs, outputs)

    @classmethod
    def from_pretrained(cls, folder: Path) -> BlipTexts:
        """Load it from a checkpoint of the whole model.

        Raises:
            UserError: a file is missing, or of another model.
        """
        return _load(folder, cls, lambda name: "text_" in name and "crossattention" not in name)

    def forward(self, ids: Tensor, present: Tensor) -> list[Tensor]:
        """The states (B, T, C) of ids (B, T), True where a token is: the words', each layer's."""
        states: list[Tensor] = self.text_encoder(ids, present[:, None, None], None)
        return states


class BlipCaptioner(nn.Module):
    """`transformers.BlipForConditionalGeneration`: how likely a text is as a picture's caption.

    Attributes:
        decode_id: of the token that starts a caption.
    """

    def __init__(self, config: dict[str, Any], shapes: Shapes) -> None:
        """Build it without weights, by what transformers wrote of it and their shapes by name."""
        super().__init__()
        texts = _of_gelu(config, "text_config")
        self.decode_id = int(texts.get("bos_token_id", 30522))
        self.vision_model = VisionTower(_of_gelu(config, "vision_config"), shapes)
        self.text_decoder = TextDecoder(texts, shapes, at="text_decoder")

    @classmethod
    def from_pretrained(cls, folder: Path) -> BlipCaptioner:
        """Load its checkpoint.

        Raises:
            UserError: a file is missing, or of another model.
        """
        return _load(folder, cls, lambda name: True)

    def forward(self, ids: Tensor, pictures: Tensor) -> Tensor:
        """Logits (B, T, V) of the token after each of ids (B, T), beside pictures' (B, P, C)."""
        logits: Tensor = self.text_decoder(ids, pictures)
        return logits


def _of_gelu(config: dict[str, Any], part: str) -> dict[str, Any]:
    settings: dict[str, Any] = config[part]
    if settings.get("hidden_act", "gelu") != "gelu":
        raise ValueError("hidden_act: only gelu is known")
    return settings


def _load(
    folder: Path,
    build: Callable[[dict[str, Any], Shapes], M],
    wanted: Callable[[str], bool],
) -> M:
    """Build a model of the checkpoint's config and of those of its weights that are wanted."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        with safe_open(folder / "model.safetensors", "pt") as stored:
            names = filter(wanted, stored.keys())
            weights = {name: stored.get_tensor(name) for name in names}
        model = build(config, {name: value.shape for name, value in weights.items()})
        model.load_state_dict(weights)
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file") from None
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        name = getattr(build, "__name__", "BLIP")
        raise UserError(f"{folder}: no checkpoint of {name}: {reason}") from None
    return model.eval()
