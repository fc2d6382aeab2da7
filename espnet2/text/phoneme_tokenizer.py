"""ESPnet's PhonemeTokenizer, which recipes import: a grapheme-to-phoneme method by its name.

Each method is a package of its own; what is not installed is named with the command that installs it.
"""

import re
from typing import Protocol

from espnet2.text.tokenizer import make_tokenizer
from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs

# ESPnet's names -> languages of espeak-ng.
ESPEAK_LANGUAGES = {
    "arabic": "ar",
    "english_us_vits": "en-us",
    "english_uk": "en-gb",
    "finnish": "fi",
    "french": "fr-fr",
    "german": "de",
    "greek": "el",
    "hindi": "hi",
    "hungarian": "hu",
    "italian": "it",
    "dutch": "nl",
    "polish": "pl",
    "russian": "ru",
    "spanish": "es",
    "spanish_latin": "es-419",
}
ESPEAK = "espeak_ng_"
CHOICES = ("none", "g2p_en", "g2p_en_no_space", "pyopenjtalk", *(ESPEAK + name for name in ESPEAK_LANGUAGES))
WORD_BREAK = "|"  # between words of espeak-ng, as ESPnet's phones have it
STRESS_AND_PUNCTUATION = re.compile(r"([ˈˌ,.;:!?¡¿—…\"«»“”|])")


class OpenJTalk(Protocol):
    """What is used of the package pyopenjtalk."""

    def g2p(self, text: str) -> str: ...


class Phonemizer(Protocol):
    """What is used of a backend of the package phonemizer."""

    def phonemize(self, text: list[str], *, separator: object, strip: bool) -> list[str]: ...


class PhonemeTokenizer:
    """Text -> phones.

    Args:
        g2p_type: one of `CHOICES`; None and "none": the text holds phones already.
        space_symbol: the phone between words where the method gives one.

    Raises:
        UserError: an unknown method, or its package is not installed.
    """

    def __init__(self, g2p_type: str | None, non_linguistic_symbols: object = None, space_symbol: str = "<space>"):
        self.g2p_type = g2p_type or "none"
        self.space_symbol = space_symbol
        self.phonemizer: Phonemizer | None = None
        if self.g2p_type.startswith(ESPEAK):
            self.phonemizer = _espeak(self.g2p_type.removeprefix(ESPEAK))
        elif self.g2p_type not in CHOICES:
            raise UserError(f"g2p {self.g2p_type}: expected one of {', '.join(CHOICES)}")
        elif self.g2p_type == "pyopenjtalk":
            _import_pyopenjtalk()
        elif self.g2p_type.startswith("g2p_en"):
            self.convert = make_tokenizer("phn", g2p="g2p_en")

    def g2p(self, line: str) -> list[str]:
        """The phones of a text; ESPnet's other name of text2tokens."""
        return self.text2tokens(line)

    def text2tokens(self, line: str) -> list[str]:
        """The phones of a text."""
        if self.g2p_type == "none":
            return line.split()
        if self.g2p_type == "g2p_en_no_space":
            return self.convert(line)
        if self.g2p_type == "g2p_en":
            words = [self.convert(word) for word in line.split()]
            return [phone for number, word in enumerate(words) for phone in ([self.space_symbol] * (number > 0) + word)]
        if self.g2p_type == "pyopenjtalk":
            return _import_pyopenjtalk().g2p(line).split()
        if self.phonemizer is None:
            raise TypeError(f"g2p {self.g2p_type} has no backend")
        return _espeak_phones(self.phonemizer, line)

    def tokens2text(self, tokens: list[str]) -> str:
        """Phones as one text, without anything between them."""
        return "".join(tokens)


def _import_pyopenjtalk() -> OpenJTalk:
    with needs("g2p pyopenjtalk needs a package: pip install pyopenjtalk"):
        import pyopenjtalk
    frontend: OpenJTalk = pyopenjtalk
    return frontend


def _espeak(language: str) -> Phonemizer:
    """The backend of phonemizer for a language; espeak-ng's library is espeakng-loader's where that is installed."""
    if language not in ESPEAK_LANGUAGES:
        raise UserError(
            f"g2p {ESPEAK}{language}: expected one of {', '.join(ESPEAK + name for name in ESPEAK_LANGUAGES)}"
        )
    with needs(f"g2p {ESPEAK}{language} needs a package: pip install phonemizer"):
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    try:
        import espeakng_loader

        EspeakWrapper.set_library(espeakng_loader.get_library_path())
        EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    except ImportError:
        pass  # the system's library is looked for
    backend: Phonemizer = EspeakBackend(ESPEAK_LANGUAGES[language], with_stress=True, preserve_punctuation=True)
    return backend


def _espeak_phones(phonemizer: Phonemizer, line: str) -> list[str]:
    """Phones, stress marks and punctuation of a text, each a token."""
    from phonemizer.separator import Separator

    separator = Separator(phone=" ", word=f" {WORD_BREAK} ", syllable="")
    text = phonemizer.phonemize([line], separator=separator, strip=True)[0]
    return STRESS_AND_PUNCTUATION.sub(r" \1 ", text).split()
