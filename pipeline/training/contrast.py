"""Contrast of pictures and texts that knows which of them match, over all processes."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


def contrast(similarity: Tensor, is_match: Tensor) -> Tensor:
    """Cross-entropy of each picture over the texts and of each text over the pictures.

    The target is spread evenly over all that match: a picture's other texts, and the pictures that
    bear the same caption, are no negatives of each other.

    Args:
        similarity: (N, N) float logits, pictures by texts.
        is_match: (N, N) bool, true on the diagonal.
    """
    if not len(similarity):
        return similarity.sum()
    targets = is_match.to(similarity.dtype)
    of_pictures = F.cross_entropy(similarity, targets / targets.sum(1, keepdim=True))
    of_texts = F.cross_entropy(similarity.T, targets.T / targets.T.sum(1, keepdim=True))
    return (of_pictures + of_texts) / 2


def draw_negatives(similarity: Tensor, is_match: Tensor) -> tuple[Tensor, Tensor]:
    """Draw hard negatives: for each row one column that does not match it, likelier if similar.

    Args:
        similarity: (N, M) float logits.
        is_match: (N, M) bool.

    Returns:
        The rows that have a negative at all, and the column drawn for each; both int64.
    """
    rows = (~is_match).any(1).nonzero()[:, 0]
    negatives = ~is_match[rows]
    weights = similarity[rows].softmax(1) * negatives
    # A sharp softmax may leave nothing to them, and multinomial would refuse (BLIP's #76).
    weights = weights + 1e-4 * negatives
    if not len(rows):
        return rows, rows
    return rows, weights.multinomial(1)[:, 0]


def gather_contrast(
    image_features: Tensor, text_features: Tensor, pictures: Tensor, captions: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The features (n, D) and rows (n,) of all processes, their n summed, in the order of ranks.

    Gradients flow into the process's own part, times the number of processes: their average over
    the processes is then the gradient of the loss over all pairs, as one process would compute it.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return image_features, text_features, pictures, captions
    here = torch.tensor([len(pictures)], device=pictures.device)
    counts = [torch.empty_like(here) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, here)
    sizes = [int(count) for count in counts]
    return (
        _gather(image_features, sizes),
        _gather(text_features, sizes),
        _gather(pictures, sizes),
        _gather(captions, sizes),
    )


def _gather(own: Tensor, sizes: list[int]) -> Tensor:
    """`own` (n, ...) of every process, of which process r has `sizes[r]` rows."""
    filled = own.new_zeros((max(sizes), *own.shape[1:]))
    filled[: len(own)] = own.detach()
    parts = [torch.empty_like(filled) for _ in sizes]
    dist.all_gather(parts, filled)
    parts = [part[:size] for part, size in zip(parts, sizes, strict=True)]
    if own.requires_grad:
        scaled = own * len(sizes)
        parts[dist.get_rank()] = own.detach() + scaled - scaled.detach()
    return torch.cat(parts)
