"""Self-supervised speech pre-training: corpora in, trained encoders out."""
