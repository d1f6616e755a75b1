"""Codes between the VQ-VAE and the prior: their store, how it is filled, how it is read."""

from pipeline.codes.store import CodeStore

__all__ = ["CodeStore"]
