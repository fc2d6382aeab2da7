"""The parts of a self-supervised model, in the order of the path of the data; `SpeechEncoder` uses a trained one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from espnet2.publish.speech_encoder import SpeechEncoder

__all__ = ["SpeechEncoder"]


def __getattr__(name: str) -> type:
    """Programs that only read tables import this package, too: torch is loaded for those who ask for a model."""
    if name == "SpeechEncoder":
        from espnet2.publish.speech_encoder import SpeechEncoder

        return SpeechEncoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
