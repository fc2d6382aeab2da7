"""Types of command-line options: argparse says which option was wrong, and what was expected."""

import argparse
import math


def positive_int(text: str) -> int:
    """A whole number above zero."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}': expected a whole number above 0")
    return value


def positive_float(text: str) -> float:
    """A number above zero; not nan, not infinite."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}': expected a number above 0")
    return value
