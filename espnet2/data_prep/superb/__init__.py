"""Corpora of SUPERB as they are published in, Kaldi folders of its tasks out; one file per corpus: the registry."""
