"""BLIP's layers by torch alone: the same weights, names and numbers as transformers'."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shapes = Mapping[str, torch.Size]  # of a checkpoint's weights, by their names


class TextTower(nn.Module):
    """BERT; its layers may attend to a picture between self-attention and feed-forward."""

    def __init__(self, config: dict[str, Any], shapes: Shapes, *, at: str) -> None:
        """Build it without weights.

        Args:
            config: of a text model, as transformers wrote it.
            shapes: they tell all sizes but the heads', and whether it looks at pictures.
            at: where its own weights' names begin.
        """
        super().__init__()
        heads, eps = config["num_attention_heads"], config.get("layer_norm_eps", 1e-12)
        self.embeddings = nn.ModuleDict(
            {
                name: nn.Embedding(*shapes[f"{at}.embeddings.{name}.weight"])
                for name in ("word_embeddings", "position_embeddings")
            }
        )
        width = shapes[f"{at}.embeddings.LayerNorm.weight"][0]
        self.embeddings["LayerNorm"] = nn.LayerNorm(width, eps=eps)
        layers = []
        for layer in _layers(shapes, f"{at}.encoder.layer"):
            keys = shapes.get(f"{layer}.crossattention.self.key.weight")
            inner = shapes[f"{layer}.intermediate.dense.weight"][0]
            seen = None if keys is None else keys[1]
            layers.append(TextLayer(width, heads=heads, eps=eps, inner=inner, seen=seen))
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(layers)})

    @property
    def words(self) -> Tensor:
        """The table (V, C) of words."""
        return cast("nn.Embedding", self.embeddings["word_embeddings"]).weight

    def forward(self, ids: Tensor, heeded: Tensor, pictures: Tensor | None) -> list[Tensor]:
        """The states (B, T, C) of ids (B, T): the words' own, then each layer's.

        Args:
            heeded: bool, broadcast to (B, heads, T, T): may a token (row) heed another (column)?
            pictures: (B, P, C) states that they stand beside, if they do.
        """
        table = self.embeddings
        places = torch.arange(ids.shape[1], device=ids.device)[None]
        x = table["word_embeddings"](ids) + table["position_embeddings"](places)  # (B, T, C)
        x = table["LayerNorm"](x)
        hidden = torch.zeros(heeded.shape, device=x.device, dtype=x.dtype)
        hidden = hidden.masked_fill(~heeded, torch.finfo(x.dtype).min)
        states = [x]
        for layer in cast("nn.ModuleList", self.encoder["layer"]):
            states.append(layer(states[-1], hidden, pictures))
        return states


class TextLayer(nn.Module):
    """Self-attention, attention to the picture if there is one, feed-forward; norms come after."""

    def __init__(self, width: int, *, heads: int, eps: float, inner: int, seen: int | None) -> None:
        """Build it for pictures' states of width `seen`; None: for texts alone."""
        super().__init__()
        self.attention = Attention(width, width, heads=heads, eps=eps)
        if seen is not None:
            self.crossattention = Attention(width, seen, heads=heads, eps=eps)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = Output(inner, width, eps=eps)

    def forward(self, x: Tensor, hidden: Tensor, pictures: Tensor | None) -> Tensor:
        x = self.attention(x, x, hidden)
        if pictures is not None:
            x = self.crossattention(x, pictures, None)
        return cast("Tensor", self.output(F.gelu(self.intermediate["dense"](x)), x))


class WordHead(nn.Module):
    """States (B, T, C) → logits (B, T, V) of the next word, by the table that words are read by."""

    def __init__(self, config: dict[str, Any], shapes: Shapes, *, at: str) -> None:
        super().__init__()
        inner, width = shapes[f"{at}.transform.dense.weight"]
        norm = nn.LayerNorm(inner, eps=config.get("layer_norm_eps", 1e-12))
        self.transform = nn.ModuleDict({"dense": nn.Linear(width, inner), "LayerNorm": norm})
        self.bias = nn.Parameter(torch.empty(shapes[f"{at}.bias"]))

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        x = self.transform["LayerNorm"](F.gelu(self.transform["dense"](x)))
        return F.linear(x, words, self.bias)


class TextDecoder(nn.Module):
    """A text tower whose tokens heed those before alone, and what it says comes next."""

    def __init__(self, config: dict[str, Any], shapes: Shapes, *, at: str) -> None:
        super().__init__()
        self.bert = TextTower(config, shapes, at=f"{at}.bert")
        head = WordHead(config, shapes, at=f"{at}.cls.predictions")
        self.cls = nn.ModuleDict({"predictions": head})

    def forward(self, ids: Tensor, pictures: Tensor) -> Tensor:
        length = ids.shape[1]
        before = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        states = self.bert(ids, before[None, None], pictures)[-1]
        return cast("Tensor", self.cls["predictions"](states, self.bert.words))


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

    def __init__(self, config: dict[str, Any], shapes: Shapes) -> None:
        super().__init__()
        heads, eps = config["num_attention_heads"], config.get("layer_norm_eps", 1e-5)
        self.image_size = int(config["image_size"])
        self.embeddings = Patches(shapes)
        width = shapes["vision_model.post_layernorm.weight"][0]
        layers = [
            VisionLayer(width, heads=heads, eps=eps, inner=shapes[f"{layer}.mlp.fc1.weight"][0])
            for layer in _layers(shapes, "vision_model.encoder.layers")
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

    def __init__(self, shapes: Shapes) -> None:
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


def _layers(shapes: Shapes, at: str) -> list[str]:
    """The names of the layers that there are weights of, from the first on."""
    names: list[str] = []
    while any(name.startswith(f"{at}.{len(names)}.") for name in shapes):
        names.append(f"{at}.{len(names)}")
    return names
