"""ESPnet's `build_tokenizer`, for recipes that import it."""

from collections.abc import Iterable
from pathlib import Path

from espnet2.text.phoneme_tokenizer import PhonemeTokenizer
from espnet2.text.tokenizer import Tokenizer, join_tokens, make_tokenizer, read_symbols


class TextTokenizer:
    """Text -> characters, words or pieces.

    Args:
        token_type: char, word or bpe.
        split: what takes a text apart.
    """

    def __init__(self, token_type: str, split: Tokenizer):
        self.token_type = token_type
        self.split = split

    def text2tokens(self, line: str) -> list[str]:
        """The tokens of a text."""
        return self.split(line)

    def tokens2text(self, tokens: list[str]) -> str:
        """The text of tokens."""
        return join_tokens(tokens, self.token_type)


def build_tokenizer(
    token_type: str,
    bpemodel: str | Path | None = None,
    non_linguistic_symbols: str | Path | Iterable[str] | None = None,
    space_symbol: str = "<space>",
    delimiter: str | None = None,
    g2p_type: str | None = None,
) -> TextTokenizer | PhonemeTokenizer:
    """Make a tokenizer; non_linguistic_symbols are symbols, or a file that lists them.

    Raises:
        UserError: an unknown token type or g2p, no model, or a package is not installed.
    """
    if token_type == "phn":
        return PhonemeTokenizer(g2p_type, space_symbol=space_symbol)
    if token_type == "word" and delimiter:
        return TextTokenizer("word", lambda text: text.split(delimiter))
    symbols = non_linguistic_symbols or ()
    symbols = read_symbols(str(symbols)) if isinstance(symbols, (str, Path)) else tuple(symbols)
    return TextTokenizer(token_type, make_tokenizer(token_type, bpe_model=bpemodel, non_linguistic_symbols=symbols))
