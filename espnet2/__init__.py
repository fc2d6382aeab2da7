"""Self-supervised speech pre-training: corpora in, trained encoders out."""

__version__ = "0.1.0"  # the only place: setup.py reads it here

from espnet2 import moved  # noqa: F401 - old names of modules
