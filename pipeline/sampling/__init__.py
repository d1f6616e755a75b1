"""Drawing codes from a prior: `sample_codes`, and what it is made of."""

from pipeline.sampling.autoregressive import sample_codes

__all__ = ["sample_codes"]
