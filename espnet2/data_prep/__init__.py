"""A corpus as its publisher gives it in, the Kaldi tables of data/<set> out: what the preparers of egs2/ share."""
