"""The parts of a self-supervised model, in the order of the path of the data."""
