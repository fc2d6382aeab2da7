"""Texts in, CTC targets out; outputs of a recogniser in, texts and their word, character or phone error rates out."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import ModuleType

import numpy as np

from espnet2.text.cleaner import make_cleaner
from espnet2.text.token_list import BLANK, UNKNOWN, read_token_list
from espnet2.text.tokenizer import Tokenizer, join_tokens, make_tokenizer
from espnet2.text.vocabulary import make_vocabulary
from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs
from espnet2.utils.files import hash_bytes

BLANK_ID, UNKNOWN_ID = 0, 1  # the order of ESPnet's lists; CTC has no <sos/eos>
INSIDE_WORDS = "'\u2019"  # apostrophes: don't, l'eau


@dataclass(frozen=True)
class TextRules:
    """What is done to a text before it is cut into tokens; references and training texts alike."""

    token_type: str = "char"  # char, bpe or phn
    is_plain: bool = True  # lower case, without punctuation: corpora differ in both, and no audio tells them
    cleaner: str = "none"
    g2p: str = "none"  # for phn: none where the texts hold phones already
    nbpe: int = 100  # pieces of the sentencepiece model, where one is trained

    def prepare(self) -> Callable[[str], str]:
        """The function that is applied to every text.

        Raises:
            UserError: an unknown cleaner.
        """
        clean = make_cleaner(self.cleaner)
        return (lambda text: plain_text(clean(text))) if self.is_plain and self.token_type != "phn" else clean


def plain_text(text: str) -> str:
    """Lower case; punctuation and symbols away, but for apostrophes inside words.

    >>> plain_text("Don't stop \u2014 \u00abnow\u00bb, well-known 'friend'!")
    "don't stop now well known friend"
    """
    kept = "".join(
        letter if letter in INSIDE_WORDS or unicodedata.category(letter)[0] not in "PS" else " "
        for letter in text.lower()
    )
    return " ".join(filter(None, (word.strip(INSIDE_WORDS) for word in kept.split())))


class CtcTokens:
    """A token list with what turns texts into its ids, and ids into texts."""

    def __init__(self, symbols: Sequence[str], tokenize: Tokenizer, token_type: str) -> None:
        self.symbols = (BLANK, UNKNOWN, *symbols)
        self.token_type = token_type
        self._tokenize = tokenize
        self._ids = {symbol: number for number, symbol in enumerate(self.symbols)}

    @classmethod
    def of_texts(cls, texts: Sequence[str], rules: TextRules, bpe_model: Path) -> "CtcTokens":
        """Make the list of the training texts, as stage 5 does.

        Args:
            texts: prepared by `rules`.
            bpe_model: for bpe: where the sentencepiece model that is trained goes.

        Raises:
            UserError: no text, or as `make_vocabulary`.
        """
        if not any(text.strip() for text in texts):
            raise UserError("the transcripts hold no text after the utterance ids")

        def sentences() -> Iterator[str]:
            return iter(texts)

        symbols = make_vocabulary(
            sentences, rules.token_type, bpe_model=bpe_model, num_pieces=rules.nbpe, g2p=rules.g2p
        )
        return cls(symbols, make_tokenizer(rules.token_type, bpe_model=bpe_model, g2p=rules.g2p), rules.token_type)

    @classmethod
    def of_list(cls, token_list: str | Path, rules: TextRules, bpe_model: str | Path | None) -> "CtcTokens":
        """Take a list of stage 5.

        Raises:
            UserError: as `read_token_list` and `make_tokenizer`.
        """
        symbols = read_token_list(token_list).symbols
        return cls(symbols, make_tokenizer(rules.token_type, bpe_model=bpe_model, g2p=rules.g2p), rules.token_type)

    @property
    def hash(self) -> str:
        """Of the symbols in order."""
        return hash_bytes(*self.symbols)

    def encode(self, text: str) -> np.ndarray:
        """Text -> (tokens,) int64 ids; what the list does not have is <unk>."""
        return np.array([self._ids.get(token, UNKNOWN_ID) for token in self._tokenize(text)], dtype=np.int64)

    def decode(self, best: Sequence[int]) -> str:
        """The most likely symbol of each frame -> text: repetitions and blanks away (Graves et al. 2006, section 3.1).

        >>> CtcTokens(["a", "b"], list, "char").decode([2, 2, 0, 2, 3, 3, 0])
        'aab'
        """
        return self.join(spelt(best))

    def join(self, ids: Sequence[int]) -> str:
        """Ids that are spelt already -> text; blanks are left out.

        >>> CtcTokens(["a", "b"], list, "char").join([0, 2, 2, 3])
        'aab'
        """
        return join_tokens([self.symbols[number] for number in ids if number != BLANK_ID], self.token_type)


def spelt(best: Sequence[int]) -> list[int]:
    """The most likely id of each frame -> the ids that are spelt.

    >>> spelt([2, 2, 0, 2, 3, 3, 0])
    [2, 2, 3]
    """
    return [number for number, _ in groupby(best) if number != BLANK_ID]


def frames_needed(ids: np.ndarray) -> int:
    """The fewest frames that can spell a target: a blank goes between equal neighbours.

    >>> frames_needed(np.array([4, 4, 5]))
    4
    """
    return len(ids) + int((ids[1:] == ids[:-1]).sum())


def require_jiwer() -> ModuleType:
    """The package that counts errors.

    Raises:
        UserError: it is not installed.
    """
    with needs("error rates need jiwer: pip install 'espnet2-ssl[eval]', or pip install jiwer"):
        import jiwer
    return jiwer


def count_token_errors(references: Sequence[Sequence[int]], hypotheses: Sequence[Sequence[int]]) -> int:
    """Substitutions, insertions and deletions of ids; as `error_rates`, and equal to it where a token is a character.

    >>> count_token_errors([[4, 5, 6]], [[4, 6, 6, 7]])
    2
    """
    words = [[" ".join(map(str, ids)) for ids in sequences] for sequences in (references, hypotheses)]
    edits = require_jiwer().process_words(*words)
    return edits.substitutions + edits.insertions + edits.deletions


def error_rates(references: Sequence[str], hypotheses: Sequence[str], token_type: str) -> dict[str, float]:
    """Errors over the length of the references, by jiwer: {"wer", "cer"}, or {"per"} of phones.

    Args:
        references: none of them empty.

    Raises:
        UserError: jiwer is not installed.

    >>> error_rates(["a b c d"], ["a c d e"], "phn")
    {'per': 0.5}
    """
    jiwer = require_jiwer()
    references, hypotheses = list(references), list(hypotheses)
    if token_type == "phn":
        return {"per": jiwer.wer(references, hypotheses)}
    return {"wer": jiwer.wer(references, hypotheses), "cer": jiwer.cer(references, hypotheses)}
