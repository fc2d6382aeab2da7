"""The tokenizers, by token type."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs

TOKEN_TYPES = ("char", "bpe", "word", "phn")
G2P_CHOICES = ("none", "g2p_en")
WORD_START = "\u2581"  # sentencepiece's mark of a blank before a piece
SPACE = "<space>"  # ESPnet's name of the blank between words among characters

Tokenizer = Callable[[str], list[str]]


def make_tokenizer(
    token_type: str,
    *,
    bpe_model: str | Path | None = None,
    non_linguistic_symbols: Sequence[str] = (),
    g2p: str = "none",
) -> Tokenizer:
    """Make the tokenizer of a type.

    Args:
        bpe_model: the sentencepiece model; needed for bpe.
        non_linguistic_symbols: kept whole among characters, such as "<laugh>".
        g2p: for phn: `none` where the text holds phones already, `g2p_en` for English words.

    Raises:
        UserError: an unknown type, no bpe model, or g2p's data are not installed.

    >>> make_tokenizer("char")("a bc")
    ['a', '<space>', 'b', 'c']
    """
    if token_type == "char":
        return _character_tokenizer(non_linguistic_symbols)
    if token_type == "word" or (token_type == "phn" and g2p == "none"):
        return str.split
    if token_type == "phn":
        return _g2p_tokenizer(g2p)
    if token_type == "bpe":
        return _bpe_tokenizer(bpe_model)
    raise UserError(f"--token_type {token_type}: expected one of {', '.join(TOKEN_TYPES)}")


def join_tokens(tokens: Sequence[str], token_type: str) -> str:
    """Text of tokens: what `make_tokenizer` took apart, but for runs of blanks.

    >>> join_tokens(["a", "<space>", "b"], "char"), join_tokens(["\u2581he", "y", "\u2581you"], "bpe")
    ('a b', 'hey you')
    """
    if token_type == "char":
        return "".join(" " if token == SPACE else token for token in tokens).strip()
    if token_type == "bpe":
        return "".join(tokens).replace(WORD_START, " ").strip()
    return " ".join(tokens)


def read_symbols(value: str) -> tuple[str, ...]:
    """Non-linguistic symbols as ESPnet's option gives them: separated by commas, or a file of one a line."""
    is_file = value != "" and Path(value).is_file()
    lines = Path(value).read_text(encoding="utf-8").splitlines() if is_file else value.split(",")
    return tuple(symbol.strip() for symbol in lines if symbol.strip())


def _character_tokenizer(whole: Sequence[str]) -> Tokenizer:
    longest_first = sorted(whole, key=len, reverse=True)
    pattern = re.compile("|".join([*map(re.escape, longest_first), "."]))

    def split(text: str) -> list[str]:
        tokens = pattern.findall(" ".join(text.split()))
        return [SPACE if token == " " else token for token in tokens]

    return split


def _bpe_tokenizer(model: str | Path | None) -> Tokenizer:
    if model is None or not Path(model).is_file():
        raise UserError(f"--bpemodel {model}: no such file; stage 5 trains it with --token_type bpe")
    from sentencepiece import SentencePieceProcessor

    try:
        processor = SentencePieceProcessor(model_file=str(model))
    except (RuntimeError, OSError):
        raise UserError(f"--bpemodel {model}: not a sentencepiece model, or cut short; run stage 5 again") from None
    return lambda text: processor.encode(text, out_type=str)


def _g2p_tokenizer(name: str) -> Tokenizer:
    if name != "g2p_en":
        raise UserError(f"--g2p {name}: expected one of {', '.join(G2P_CHOICES)}")
    with needs("--g2p g2p_en needs espnet_tts_frontend: pip install espnet_tts_frontend"):
        import nltk
    for kind, data in (("taggers", "averaged_perceptron_tagger_eng"), ("corpora", "cmudict")):
        try:
            nltk.data.find(f"{kind}/{data}.zip")  # g2p_en itself would try to download them, unasked
        except LookupError:
            raise UserError(
                f"--g2p g2p_en needs the NLTK data '{data}': python -m nltk.downloader {data} (or put "
                f"{kind}/{data}.zip into a folder of NLTK_DATA); with transcripts of phones, --g2p none needs nothing"
            ) from None
    from g2p_en import G2p

    convert = G2p()
    return lambda text: [phone for phone in convert(text) if phone != " "]
