"""The words of a command line in, the whole numbers that an evaluation is asked for out; nothing large is imported."""

from espnet2.utils.errors import UserError

SEEDS = {"default": (0,), "full": (0, 1, 2)}  # by effort


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Whole numbers of an option.

    Raises:
        UserError: something else, or none.

    >>> numbers("--seeds", "0 1 2")
    (0, 1, 2)
    """
    try:
        values = tuple(int(word) for word in text.split())
    except ValueError:
        raise UserError(f"{option} '{text}': expected whole numbers, such as \"0 1 2\"") from None
    if not values:
        raise UserError(f'{option} is empty: expected whole numbers, such as "0 1 2"')
    return values


def chosen_seeds(text: str | None, effort: str) -> tuple[int, ...]:
    """Those that are named, or those of the effort.

    >>> chosen_seeds(None, "full"), chosen_seeds("7", "full")
    ((0, 1, 2), (7,))
    """
    return SEEDS[effort] if text is None else numbers("--seeds", text)


def chosen_layers(text: str) -> tuple[int, ...] | None:
    """Layers by their numbers, from 1; None: all.

    >>> chosen_layers("all"), chosen_layers("3 6")
    (None, (3, 6))
    """
    return None if text == "all" else numbers("--layers", text)
