"""Codebrush's library: data, models, training, sampling, evaluation, plots.

Importing it costs nothing: every module imports only what it needs itself.
"""
