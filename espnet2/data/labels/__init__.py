"""Packed frame labels: read, checked, imported from text, counted."""
