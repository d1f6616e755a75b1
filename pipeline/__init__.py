"""Codebrush's library: data, models, training, sampling, evaluation, plots.

Importing it costs nothing: every module imports only what it needs itself.
"""

from pipeline.torchvision_ops import declare_before_torchvision

declare_before_torchvision()
