"""The text cleaners, by name."""

import warnings
from collections.abc import Callable

from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs

CLEANERS = ("none", "tacotron")


def make_cleaner(name: str) -> Callable[[str], str]:
    """`none` leaves the text as it is; `tacotron` writes English out in capitals: numbers, abbreviations, symbols.

    Raises:
        UserError: an unknown name, or espnet_tts_frontend is not installed.

    >>> make_cleaner("tacotron")("Dr. Smith paid 25 dollars")
    'DOCTOR SMITH PAID TWENTY FIVE DOLLARS'
    """
    if name == "none":
        return str
    if name != "tacotron":
        raise UserError(f"--cleaner {name}: expected one of {', '.join(CLEANERS)}")
    with (
        needs("--cleaner tacotron needs espnet_tts_frontend: pip install espnet_tts_frontend"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # its regular expressions hold escapes that newer Pythons warn of
        from tacotron_cleaner.cleaners import custom_english_cleaners
    return custom_english_cleaners
