"""The one way in which pages, tables and logs write a figure and how far it may be off."""

MEANING = "± is the largest less the smallest over seeds; of ABX, half of a 95 % interval"


def half_width(low: float, high: float) -> float:
    """What stands behind ±, and what differences are compared with: half of an interval, however lopsided it is."""
    return (high - low) / 2


def with_spread(value: float, spread: float | None, *, as_percent: bool = False, form: str = ".3f") -> str:
    """The figure and its spread, if that is known.

    Args:
        form: of a figure that is no percentage.

    >>> with_spread(0.563, 0.017), with_spread(0.5, None), with_spread(0.0076, 0.00945, as_percent=True)
    ('0.563 ± 0.017', '0.500', '0.8 % ± 0.9')
    """
    shown = f"{100 * value:.1f} %" if as_percent else f"{value:{form}}"
    return " ".join(filter(None, [shown, spread_text(spread, as_percent=as_percent, form=form)]))


def spread_text(spread: float | None, *, as_percent: bool = False, form: str = ".3f") -> str:
    """The spread alone; empty where it is unknown."""
    if spread is None:
        return ""
    return f"± {100 * spread:.1f}" if as_percent else f"± {spread:{form}}"
