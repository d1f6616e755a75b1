"""Contrast of pictures and texts that knows which of them match, over all processes."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def contrast(similarity: Tensor, is_match: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of each picture over the texts and of each text over the pictures.

    The target is spread evenly over all that match: a picture's other texts, and the pictures that
    bear the same caption, are no negatives of each other.

    Args:
        similarity: (N, N) float logits, pictures by texts.
        is_match: (N, N) bool, true on the diagonal.
        weights: (N, N) float, how much a pair that does not match counts as a negative.
    """
    if not len(similarity):
        return similarity.sum()
    counted = similarity + torch.where(is_match, 0, weights.log())  # of 0: not at all
    targets = is_match.to(similarity.dtype)
    return (_spread(counted, targets) + _spread(counted.T, targets.T)) / 2


def _spread(logits: Tensor, targets: Tensor) -> Tensor:
    log_shares = logits.log_softmax(1).masked_fill(targets == 0, 0)
    return -(targets / targets.sum(1, keepdim=True) * log_shares).sum(1).mean()


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
