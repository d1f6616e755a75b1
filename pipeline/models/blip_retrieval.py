"""BLIP's retrieval model by torch alone: the same weights, names and numbers as transformers'.

`transformers.BlipForImageTextRetrieval` is the specification, and trains; importing it takes twice
as long as importing torch, which is most of the time that a person waits for a picture. This one
only reads (`tests/test_blip_reader.py` holds both to the same bits).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.errors import UserError


class BlipRetrieval(nn.Module):
    """A vision tower, a text encoder that may look at its pictures, and three heads."""

    def __init__(self, config: dict[str, Any], shapes: dict[str, torch.Size]) -> None:
        """Build it without weights.

        Args:
            config: what transformers wrote; what it left out is as in its `BlipConfig`.
            shapes: of the weights, by their names; they tell all sizes but the heads'.
        """
        super().__init__()
        text, vision = config["text_config"], config["vision_config"]
        self.decode_id = int(text.get("bos_token_id", 30522))
        if {part.get("hidden_act", "gelu") for part in (text, vision)} != {"gelu"}:
            raise ValueError("hidden_act: only gelu is known")
        self.text_encoder = TextEncoder(text, shapes)
        self.vision_model = VisionTower(vision, shapes)
        width = shapes["text_proj.weight"]  # (D, C)
        self.text_proj = nn.Linear(width[1], width[0])
        self.vision_proj = nn.Linear(shapes["vision_proj.weight"][1], width[0])
        self.itm_head = nn.Linear(width[1], 2)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.text_proj.weight.device

    @classmethod
    def from_pretrained(cls, folder: Path) -> BlipRetrieval:
        """Load a checkpoint of `transformers.BlipForImageTextRetrieval`.

        Raises:
            UserError: a file is missing, or of another model.
        """
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            weights = load_file(folder / "model.safetensors")
            model = cls(config, {name: value.shape for name, value in weights.items()})
            model.load_state_dict(weights)
        except FileNotFoundError as error:
            raise UserError(f"{error.filename}: no such file") from None
        except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{folder}: no checkpoint of {cls.__name__}: {reason}") from None
        return model.eval()


class TextEncoder(nn.Module):
    """BERT whose layers may attend to a picture between self-attention and feed-forward."""

    def __init__(self, config: dict[str, Any], shapes: dict[str, torch.Size]) -> None:
        super().__init__()
        heads, eps = config["num_attention_heads"], config.get("layer_norm_eps", 1e-12)
        at = "text_encoder.encoder.layer.{}"
        self.embeddings = nn.ModuleDict(
            {
                name: nn.Embedding(*shapes[f"text_encoder.embeddings.{name}.weight"])
                for name in ("word_embeddings", "position_embeddings")
            }
        )
        width = shapes["text_encoder.embeddings.LayerNorm.weight"][0]
        self.embeddings["LayerNorm"] = nn.LayerNorm(width, eps=eps)
        layers = [
            TextLayer(
                heads=heads,
                eps=eps,
                query=shapes[f"{at.format(number)}.crossattention.self.query.weight"],
                seen=shapes[f"{at.format(number)}.crossattention.self.key.weight"][1],
                inner=shapes[f"{at.format(number)}.intermediate.dense.weight"][0],
            )
            for number in range(_count(shapes, at))
        ]
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(layers)})

    def forward(self, ids: Tensor, present: Tensor, pictures: Tensor | None) -> list[Tensor]:
        """The states (B, T, C) of ids (B, T): the words' own, then each layer's."""
        table = self.embeddings
        places = torch.arange(ids.shape[1], device=ids.device)[None]
        x = table["word_embeddings"](ids) + table["position_embeddings"](places)  # (B, T, C)
        x = table["LayerNorm"](x)
        hidden = torch.zeros(present.shape, device=x.device, dtype=x.dtype)
        hidden = hidden.masked_fill(~present, torch.finfo(x.dtype).min)[:, None, None]
        states = [x]
        for layer in cast("nn.ModuleList", self.encoder["layer"]):
            states.append(layer(states[-1], hidden, pictures))
        return states


class TextLayer(nn.Module):
    """Self-attention, attention to the picture if there is one, feed-forward; norms come after."""

    def __init__(self, *, heads: int, eps: float, query: torch.Size, seen: int, inner: int) -> None:
        super().__init__()
        width = query[1]
        self.attention = Attention(width, width, heads=heads, eps=eps)
        self.crossattention = Attention(width, seen, heads=heads, eps=eps)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = Output(inner, width, eps=eps)

    def forward(self, x: Tensor, hidden: Tensor, pictures: Tensor | None) -> Tensor:
        x = self.attention(x, x, hidden)
        if pictures is not None:
            x = self.crossattention(x, pictures, None)
        return cast("Tensor", self.output(F.gelu(self.intermediate["dense"](x)), x))


class Attention(nn.Module):
    """Queries of one sequence, keys and values of another or the same, as BERT names them."""

    def __init__(self, width: int, seen: int, *, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.self = nn.ModuleDict(
            {
                "query": nn.Linear(width, width),
                "key": nn.Linear(seen, width),
                "value": nn.Linear(seen, width),
            }
        )
        self.output = Output(width, width, eps=eps)

    def forward(self, x: Tensor, other: Tensor, hidden: Tensor | None) -> Tensor:
        query = self._split(self.self["query"](x))  # (B, heads, T, C / heads)
        key, value = (self._split(self.self[name](other)) for name in ("key", "value"))
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        if hidden is not None:
            scores = scores + hidden
        mixed = scores.softmax(dim=-1) @ value
        return cast("Tensor", self.output(mixed.permute(0, 2, 1, 3).flatten(2), x))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Output(nn.Module):
    """A projection added to what went in, then normalised."""

    def __init__(self, inner: int, width: int, *, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, width)
        self.LayerNorm = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        return cast("Tensor", self.LayerNorm(self.dense(x) + before))


class VisionTower(nn.Module):
    """ViT (https://arxiv.org/abs/2010.11929): patches and a class token; norms come before."""

    def __init__(self, config: dict[str, Any], shapes: dict[str, torch.Size]) -> None:
        super().__init__()
        heads, eps = config["num_attention_heads"], config.get("layer_norm_eps", 1e-5)
        self.image_size = int(config["image_size"])
        self.embeddings = Patches(shapes)
        width = shapes["vision_model.post_layernorm.weight"][0]
        at = "vision_model.encoder.layers.{}"
        layers = [
            VisionLayer(
                width,
                heads=heads,
                eps=eps,
                inner=shapes[f"{at.format(number)}.mlp.fc1.weight"][0],
            )
            for number in range(_count(shapes, at))
        ]
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(layers)})
        self.post_layernorm = nn.LayerNorm(width, eps=eps)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.embeddings(pixels)
        for layer in cast("nn.ModuleList", self.encoder["layers"]):
            x = layer(x)
        return cast("Tensor", self.post_layernorm(x))


class Patches(nn.Module):
    """Pictures (B, 3, S, S) → (B, 1 + patches, C), the class token first, places added."""

    def __init__(self, shapes: dict[str, torch.Size]) -> None:
        super().__init__()
        width, channels, side, _ = shapes["vision_model.embeddings.patch_embedding.weight"]
        places = shapes["vision_model.embeddings.position_embedding"]
        self.patch_embedding = nn.Conv2d(channels, width, side, stride=side)
        self.class_embedding = nn.Parameter(torch.empty(1, 1, width))
        self.position_embedding = nn.Parameter(torch.empty(places))
        self.num_patches = places[1] - 1

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(pixels), 1, -1)
        return torch.cat([first, patches], dim=1) + self.position_embedding


class VisionLayer(nn.Module):
    """Self-attention and feed-forward, each added to what went in."""

    def __init__(self, width: int, *, heads: int, eps: float, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.layer_norm1 = nn.LayerNorm(width, eps=eps)
        self.self_attn = nn.ModuleDict(
            {"qkv": nn.Linear(width, 3 * width), "projection": nn.Linear(width, width)}
        )
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, inner), "fc2": nn.Linear(inner, width)})

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.self_attn["qkv"](self.layer_norm1(x)).unflatten(2, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, T, C / heads)
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        mixed = (scores.softmax(dim=-1) @ value).permute(0, 2, 1, 3).flatten(2)
        x = self.self_attn["projection"](mixed) + x
        inner = F.gelu(self.mlp["fc1"](self.layer_norm2(x)))
        return cast("Tensor", self.mlp["fc2"](inner) + x)


def _count(shapes: dict[str, torch.Size], at: str) -> int:
    """How many layers of a name there are weights of."""
    number = 0
    while any(name.startswith(at.format(number) + ".") for name in shapes):
        number += 1
    return number
