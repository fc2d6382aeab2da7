"""data/<set> in, dump/<set> with audio of one form and known lengths out."""
