"""Dropout by random bytes: the share it drops, the mean it keeps, the seed that repeats it."""

import pytest
import torch

from pipeline.models.dropout import LEVELS, dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_about_that_share_of_the_values_is_dropped_and_the_mean_stays(share: float):
    torch.manual_seed(0)
    found = dropout(torch.ones(400, 501), share, training=True)
    assert (found == 0).float().mean().item() == pytest.approx(share, abs=0.01)
    assert found.mean().item() == pytest.approx(1, abs=0.03)
    assert len(found.unique()) == 2  # dropped, or raised by one factor


def test_every_place_of_a_drawn_integer_drops_alike():
    torch.manual_seed(0)
    found = dropout(torch.ones(40_000, 8), 0.25, training=True)
    assert torch.allclose((found == 0).float().mean(0), torch.full((8,), 0.25), atol=0.01)


def test_what_is_dropped_passes_no_gradient_and_the_rest_passes_it_raised():
    torch.manual_seed(0)
    x = torch.randn(1000, requires_grad=True)
    found = dropout(x, 0.25, training=True)
    found.sum().backward()
    assert x.grad is not None
    kept = found != 0
    assert (x.grad[~kept] == 0).all()
    assert torch.allclose(x.grad[kept], torch.tensor(4 / 3))


def test_a_seed_drops_the_same_values_again_and_another_seed_others():
    def dropped(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return dropout(torch.ones(1001), 0.3, training=True) == 0

    assert torch.equal(dropped(0), dropped(0))
    assert not torch.equal(dropped(0), dropped(1))


def test_nothing_is_dropped_outside_of_training_or_of_a_share_of_none():
    x = torch.randn(10)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x


def test_a_share_of_nearly_all_leaves_finite_values():
    torch.manual_seed(0)
    found = dropout(torch.ones(LEVELS * 100), 0.9999, training=True)
    assert torch.isfinite(found).all()
    assert found.any()
