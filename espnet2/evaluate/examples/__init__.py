"""Something to see and hear of a model."""
