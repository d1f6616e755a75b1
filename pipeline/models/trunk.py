"""The convolutions by which the judge and BLIP's stem learn to see: few pictures are enough."""

from __future__ import annotations

from torch import nn


def trunk(width: int) -> list[nn.Module]:
    """Layers that take pictures (B, 3, S, S) to features (B, 4 width, S / 8, S / 8)."""
    return [
        nn.PixelUnshuffle(2),  # the cheapest first layer
        _block(12, width),
        nn.MaxPool2d(2),
        _block(width, 2 * width),
        nn.MaxPool2d(2),
        _block(2 * width, 4 * width),
        _block(4 * width, 4 * width),
    ]


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
