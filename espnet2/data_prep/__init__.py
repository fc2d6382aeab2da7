"""What the preparers of egs2/ share, from a corpus as its publisher gives it to the tables of data/<set>."""
