"""A config in, a model of all its parts out."""
