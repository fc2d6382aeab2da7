"""SUPERB: frozen encoders, judged by small heads on ten tasks under fixed rules."""
