"""Bricks shared by frontends, encoders and objectives."""
