"""Self-supervised speech pre-training: corpora in, trained encoders out."""

from espnet2 import moved  # noqa: F401 - old names of modules
