"""Samples of audio files, archives and pipes."""
