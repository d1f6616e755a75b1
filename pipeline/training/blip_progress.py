"""What BLIP's curve says while it trains: which loss no longer gains, and what learns nothing."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.training.loop import Curve

LOSSES = ("itc", "itm", "lm")
# Of the loss of a model that makes nothing of the pictures: what is above has learned nothing.
BLIND_SHARE = 0.97
UNLEARNED = {
    "itc": "the contrast of pictures and texts is at chance",
    "itm": "matching stands at its base rate",
    "lm": "captions do not depend on their pictures",
}


def at_rest(curve: Curve, *, patience: int) -> frozenset[str]:
    """The losses that have gone `patience` validations without a gain once; 0: none ever.

    A loss that overfits is left out of training from then on, so that the others can go on.
    """
    resting = set()
    for name in LOSSES if patience else ():
        best, since = float("inf"), 0
        for row in curve:
            gained = row[f"val_{name}"] < best
            best, since = min(best, row[f"val_{name}"]), 0 if gained else since + 1
            if since == patience:
                resting.add(name)
    return frozenset(resting)


def unlearned(row: Mapping[str, float]) -> dict[str, str]:
    """The losses that are no better than a blind model's, and one line about each.

    Args:
        row: validation's figures.
    """
    found = {}
    for name, said in UNLEARNED.items():
        loss, blind = row[f"val_{name}"], row[f"val_{name}_blind"]
        if blind == 0:
            found[name] = "nothing to tell apart: every caption matches every picture"
        elif loss >= BLIND_SHARE * blind:
            found[name] = f"{said}: {loss:.3f}, a model that sees nothing has {blind:.3f}"
    return found
