"""Figures of the old domain now and before the first update in, one line about what a continued training forgets out.

A model that goes on to learn from other audio loses some of what it knew ("catastrophic forgetting", McCloskey and
Cohen 1989). A set of the old domain, measured at each validation and never trained on, shows how much.
"""

from collections.abc import Mapping

from espnet2.train.history import OLD_DOMAIN

TOLD = ("loss", "probe_pnmi", "probe_mfcc_information")  # of the figures: those that one line has room for


def forgetting_line(initial: Mapping[str, float], figures: Mapping[str, float]) -> str:
    """What a validation says of the old domain; "" where no such set is measured.

    Args:
        initial: figures before the first update; empty where they are not known.
        figures: of a validation.

    >>> forgetting_line({"old_loss": 2.0, "old_probe_pnmi": 0.5}, {"old_loss": 2.5, "old_probe_pnmi": 0.4, "loss": 1.0})
    'old domain: loss 2.500 (2.000 at the start, +25.0 %), probe_pnmi 0.400 (0.500 at the start, -20.0 %)'
    >>> forgetting_line({}, {"old_loss": 2.5, "loss": 1.0})
    'old domain: loss 2.500'
    >>> forgetting_line({}, {"loss": 1.0})
    ''
    """
    named = [(name, f"{OLD_DOMAIN}{name}") for name in TOLD if f"{OLD_DOMAIN}{name}" in figures]
    parts = [_beside(name, figures[key], initial.get(key)) for name, key in named]
    return f"old domain: {', '.join(parts)}" if parts else ""


def _beside(name: str, value: float, start: float | None) -> str:
    if not start:
        return f"{name} {value:.3f}"
    return f"{name} {value:.3f} ({start:.3f} at the start, {100 * (value / start - 1):+.1f} %)"
