"""Figures of SUPERB that no library of ours has: each compared with cases by hand in its test."""
