"""A model in, measures of its representations out."""
