"""The registry of encoders: encoder/<name>.py holds the one Encoder class of that name."""

from espnet2.ssl.encoder.base import Encoder
from espnet2.utils.registry import part_class, part_names

HELPERS = ("base", "macaron", "stack", "stack_config")


def encoder_names() -> list[str]:
    """The encoders there are: one file each."""
    return part_names(__name__, HELPERS)


def encoder_class(name: str) -> type[Encoder]:
    """The class in encoder/<name>.py.

    Raises:
        UserError: there is no such file; the message lists the files present.
    """
    return part_class(__name__, name, Encoder, key="encoder", kind="encoder", helpers=HELPERS)
