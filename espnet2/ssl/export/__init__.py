"""Trained models in, folders for others to use out."""
