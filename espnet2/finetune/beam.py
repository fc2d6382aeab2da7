"""Log probabilities of a recogniser in, the texts that a beam search with an n-gram model prefers out.

The search is torchaudio's (its engine is flashlight's), the n-gram model KenLM's: ARPA files and its binary files.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from torch import Tensor

from espnet2.text.ctc import BLANK_ID, UNKNOWN_ID, CtcTokens
from espnet2.text.tokenizer import SPACE
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs

if TYPE_CHECKING:
    from torchaudio.models.decoder import CTCDecoder

UNIGRAMS = "\\1-grams:"  # section of an ARPA file
UNKNOWN_WORDS = ("<unk>", "<UNK>", "<s>", "</s>")
BINARY = b"mmap lm http://kheafield.com"  # how KenLM's binary files begin


class BeamConfig(Config):
    """`decode_conf` of a fine-tuning. The weights are torchaudio's defaults: tune them on a set of their own."""

    lm: Path | None = Field(None, description="n-gram model, ARPA or KenLM's binary: of words; of phones for phn")
    beam: int = Field(50, gt=0, description="hypotheses that are kept at each frame")
    lm_weight: float = Field(2.0, ge=0, description="of the n-gram model's log probability")
    word_score: float = Field(0.0, description="added for each word")


class BeamDecoder:
    """A beam search over the tokens of one recogniser."""

    def __init__(self, search: "CTCDecoder", tokens: CtcTokens, *, has_words: bool) -> None:
        self.search, self.tokens, self.has_words = search, tokens, has_words
        self.order = _search_order(tokens)

    @classmethod
    def open(cls, config: BeamConfig, tokens: CtcTokens, words: Iterable[str]) -> "BeamDecoder":
        """Read the n-gram model and spell its words.

        Args:
            words: those that can be heard where the model is a binary file, which does not say its own.

        Raises:
            UserError: a package is missing, the file is no n-gram model, or the tokens spell none of its words.
        """
        with needs(
            "decode: beam needs flashlight-text: pip install 'espnet2-ssl[decode]', or pip install flashlight-text"
        ):
            from torchaudio.models.decoder import ctc_decoder
        order = _search_order(tokens)
        symbols = [tokens.symbols[number] for number in order]
        has_words = config.lm is not None and tokens.token_type != "phn"
        if config.lm is not None and not config.lm.is_file():
            raise UserError(f"decode_conf: lm {config.lm}: no such file; expected an ARPA file or KenLM's binary")
        with tempfile.TemporaryDirectory() as scratch:
            lexicon = Path(scratch) / "lexicon.txt"
            if has_words:
                assert config.lm is not None
                _write_lexicon(lexicon, config.lm, tokens, words)
                symbols = [_placeholder(number) for number in order]
            space = tokens.symbols.index(SPACE) if has_words and SPACE in tokens.symbols else BLANK_ID
            try:
                search = ctc_decoder(
                    lexicon=str(lexicon) if has_words else None,
                    tokens=symbols,
                    lm=None if config.lm is None else str(config.lm),
                    beam_size=config.beam,
                    lm_weight=config.lm_weight,
                    word_score=config.word_score,
                    log_add=True,
                    blank_token=symbols[order.index(BLANK_ID)],
                    sil_token=symbols[order.index(space)],  # may lie between two words, whatever their spelling
                    unk_word="<unk>",
                )
            except RuntimeError as error:  # KenLM's: a file of another kind, cut short, a line that is wrong
                reason = str(error).strip().splitlines()[-1]
                raise UserError(f"decode_conf: lm {config.lm}: no n-gram model that KenLM reads: {reason}") from None
        return cls(search, tokens, has_words=has_words)

    def __call__(self, log_probs: Tensor, lengths: Tensor) -> list[str]:
        """The best text of every utterance.

        Args:
            log_probs: (batch, frames, symbols) float32.
            lengths: (batch,) valid frames.
        """
        searched = self.search(log_probs.cpu()[..., self.order].contiguous(), lengths.cpu())
        return [self._text(hypotheses[0]) if hypotheses else "" for hypotheses in searched]

    def _text(self, best: object) -> str:
        if self.has_words:
            return " ".join(best.words)  # type: ignore[attr-defined]
        return self.tokens.join([self.order[number] for number in best.tokens.tolist()])  # type: ignore[attr-defined]


def _search_order(tokens: CtcTokens) -> list[int]:
    """Ids in the order of the search: flashlight numbers <unk> last among words, and so among tokens that are words."""
    return [*(number for number in range(len(tokens.symbols)) if number != UNKNOWN_ID), UNKNOWN_ID]


def _write_lexicon(path: Path, lm: Path, tokens: CtcTokens, words: Iterable[str]) -> None:
    """<word> <token> ...: tokens by number, as some hold blanks."""
    known = sorted(set(words) if _is_binary(lm) else set(arpa_words(lm)))
    spelt = [(word, tokens.encode(word).tolist()) for word in known]
    usable = [(word, ids) for word, ids in spelt if ids and UNKNOWN_ID not in ids]
    if not usable:
        raise UserError(
            f"decode_conf: lm {lm}: the tokens of this recogniser spell none of its {len(known)} words; give a model "
            "of texts of the same kind (plain_text: lower case, without punctuation)"
        )
    lines = (f"{word} {' '.join(map(_placeholder, ids))}\n" for word, ids in usable)
    path.write_text("".join(lines) + "<unk> " + _placeholder(UNKNOWN_ID) + "\n", encoding="utf-8")


def _placeholder(number: int) -> str:
    return f"t{number}"


def _is_binary(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(len(BINARY)) == BINARY


def arpa_words(path: Path) -> Iterator[str]:
    """The words of an ARPA file; none where it is something else.

    Raises:
        UserError: it is no text.
    """
    inside = False
    try:
        with open(path, encoding="utf-8") as stream:
            for line in stream:
                line = line.strip()
                if line.startswith("\\"):
                    if inside:
                        return
                    inside = line == UNIGRAMS
                elif inside and len(fields := line.split()) >= 2 and fields[1] not in UNKNOWN_WORDS:
                    yield fields[1]
    except UnicodeDecodeError:
        raise UserError(f"decode_conf: lm {path}: neither an ARPA file in UTF-8 nor a binary file of KenLM") from None
