"""Measures of a trained model's representations, and the pages that show them."""
