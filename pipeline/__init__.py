"""Codebrush's library: data, models, training, sampling, evaluation, plots.

Importing it costs nothing: every module imports only what it needs itself.
"""

from pipeline.torchvision_ops import declare_before_torchvision
from pipeline.waiting import wait_briefly

declare_before_torchvision()
wait_briefly()
