"""LPIPS: the published figure, and what it says of weights that are not there."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.evaluation.perceptual import BACKBONES, load_lpips, lpips_distances
from pipeline.evaluation.unmeasurable import Unmeasurable

TORCH_HOME = Path(__file__).resolve().parents[2] / "shared" / "pretrained" / "torch"
weights_needed = pytest.mark.skipif(
    not (TORCH_HOME / "hub" / "checkpoints" / BACKBONES["squeeze"]).is_file(),
    reason="squeezenet's weights are not beside the project, in ../shared/pretrained/torch",
)


def uniform() -> tuple[torch.Tensor, torch.Tensor]:
    """The two batches that torchmetrics' documentation measures, with its seed."""
    generator = torch.Generator().manual_seed(123)
    shape = (10, 3, 100, 100)
    return tuple(torch.rand(shape, generator=generator) * 2 - 1 for _ in range(2))  # type: ignore[return-value]


@weights_needed
def test_lpips_of_two_uniform_batches_is_the_published_figure() -> None:
    state, home = torch.random.get_rng_state(), os.environ.get("TORCH_HOME")
    measure = load_lpips(TORCH_HOME, "squeeze")
    first, second = uniform()
    distances = lpips_distances(measure, first, second, batch_size=4)
    assert distances.shape == (10,)
    assert distances.mean() == pytest.approx(0.1008, abs=5e-5)
    assert np.allclose(lpips_distances(measure, first, second, batch_size=10), distances)
    assert lpips_distances(measure, first, first, batch_size=4).max() == 0.0
    assert torch.equal(torch.random.get_rng_state(), state)
    assert os.environ.get("TORCH_HOME") == home
    assert not any(p.requires_grad for p in measure.parameters())


@weights_needed
def test_no_pairs_are_unmeasurable_and_unlike_shapes_refused() -> None:
    measure = load_lpips(TORCH_HOME, "squeeze")
    none = torch.empty(0, 3, 64, 64)
    with pytest.raises(Unmeasurable, match="no pairs"):
        lpips_distances(measure, none, none, batch_size=4)
    with pytest.raises(ValueError, match="pictures"):
        lpips_distances(measure, none, torch.empty(1, 3, 64, 64), batch_size=4)


def test_a_net_or_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'resnet': allowed are alex, vgg, squeeze"):
        load_lpips(tmp_path, "resnet")
    with pytest.raises(UserError, match=r"alexnet-owt-7be5be79\.pth: no such file"):
        load_lpips(tmp_path, "alex")


class Exploit:
    """What unpickling would run."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("exploited"),)


@pytest.mark.parametrize("kind", ["page", "empty", "pickle", "other weights", "no dict"])
def test_what_is_not_the_backbone_is_refused_and_not_run(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hub" / "checkpoints" / BACKBONES["squeeze"]
    path.parent.mkdir(parents=True)
    if kind == "page":
        path.write_text("<html>404</html>")
    elif kind == "empty":
        path.touch()
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Exploit(), protocol=2))
    elif kind == "other weights":
        torch.save({"features.0.weight": torch.zeros(1)}, path)
    else:
        torch.save([torch.zeros(1)], path)
    with pytest.raises(UserError, match=path.name):
        load_lpips(tmp_path, "squeeze")
    assert not Path("exploited").exists()
