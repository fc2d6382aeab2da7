"""Noise, reverberation, mixing and speed, drawn and applied in the loader."""
