"""What BLIP's curve says: losses that rest, and objectives that have learned nothing."""

from __future__ import annotations

import pytest
import torch
from blips import build

from pipeline.training.blip import layer_lrs
from pipeline.training.blip_progress import at_rest, unlearned


def curve(**losses: list[float]) -> list[dict[str, float]]:
    names = ("itc", "itm", "lm")
    steps = range(len(next(iter(losses.values()))))
    return [
        {"step": i, **{f"val_{n}": losses.get(n, [1 / (j + 1) for j in steps])[i] for n in names}}
        for i in steps
    ]


def test_a_loss_that_overfits_rests_and_the_others_go_on():
    assert at_rest(curve(lm=[3, 2, 2.1, 2.2]), patience=2) == {"lm"}
    assert at_rest(curve(lm=[3, 2, 2.1]), patience=2) == frozenset()
    assert at_rest(curve(lm=[3, 2, 2.1, 2.2]), patience=0) == frozenset()


def test_a_loss_that_rests_never_wakes():
    assert at_rest(curve(lm=[3, 2, 2.1, 2.2, 1.0]), patience=2) == {"lm"}


@pytest.mark.parametrize(
    ("name", "said"), [("itm", "base rate"), ("itc", "at chance"), ("lm", "do not depend")]
)
def test_what_is_no_better_than_a_blind_model_is_named_in_one_line(name: str, said: str):
    row = {f"val_{loss}": 0.3 for loss in ("itc", "itm", "lm")}
    row |= {f"val_{loss}_blind": 0.63 for loss in ("itc", "itm", "lm")}
    assert unlearned(row) == {}
    found = unlearned({**row, f"val_{name}": 0.62})
    assert list(found) == [name]
    assert said in found[name]
    assert "\n" not in found[name]


def test_layers_learn_slower_the_lower_they_lie():
    blip = build(vision_layers=2)
    model = torch.nn.ModuleDict({"retrieval": blip.retrieval, "stem": blip.stem})
    shares = layer_lrs(model, decay=0.5)
    tower = "retrieval.vision_model"
    assert shares[f"{tower}.post_layernorm.weight"] == 1.0
    assert shares[f"{tower}.encoder.layers.1.mlp.fc1.weight"] == 0.5
    assert shares[f"{tower}.encoder.layers.0.mlp.fc1.weight"] == 0.25
    assert shares[f"{tower}.embeddings.patch_embedding.weight"] == 0.125
    assert {shares[name] for name in shares if name.startswith("stem.")} == {0.0625}
    assert shares["retrieval.itm_head.weight"] == 1.0
    assert set(shares) == {name for name, _ in model.named_parameters()}
