"""dump/ in, Batch out."""
