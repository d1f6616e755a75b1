"""One short module per stage: read params, call the library, write the outs.

`python -m stages NAME` runs one, as dvc.yaml does (see `stages/__main__.py`, the launcher).
"""
