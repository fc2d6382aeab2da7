"""Transcripts in, token lists and token ids out."""
