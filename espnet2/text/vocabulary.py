"""Sentences and a token type in, the symbols of a token list out, in ESPnet's order."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from espnet2.text.bpe import train_bpe
from espnet2.text.tokenizer import make_tokenizer


def make_vocabulary(
    sentences: Callable[[], Iterator[str]],
    token_type: str,
    *,
    bpe_model: str | Path | None = None,
    num_pieces: int = 30,
    bpe_type: str = "unigram",
    non_linguistic_symbols: Sequence[str] = (),
    g2p: str = "none",
) -> list[str]:
    """The tokens of sentences: most frequent first, as ESPnet orders them; pieces in the order of their model.

    Args:
        sentences: gives all of them, as often as it is called.
        bpe_model: for bpe: where the sentencepiece model that is trained goes.
        num_pieces, bpe_type: of that model.

    Raises:
        UserError: as `train_bpe` and `make_tokenizer`.
    """
    if token_type == "bpe":
        if bpe_model is None:
            raise TypeError("token type bpe needs a place for its model")
        return train_bpe(
            sentences(),
            bpe_model,
            num_pieces=num_pieces,
            model_type=bpe_type,
            non_linguistic_symbols=non_linguistic_symbols,
        )
    tokenize = make_tokenizer(token_type, non_linguistic_symbols=non_linguistic_symbols, g2p=g2p)
    counts = Counter(token for sentence in sentences() for token in tokenize(sentence))
    return sorted(counts, key=lambda token: (-counts[token], token))
