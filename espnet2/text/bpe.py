"""Sentences in, a sentencepiece model out."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from espnet2.text.token_list import SPECIALS
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write

MODEL_TYPES = ("unigram", "bpe")
CONTROL_PIECES = frozenset(("<s>", "</s>")) | SPECIALS  # sentencepiece's own; the token list has its specials instead
MAX_SENTENCES = 10_000_000  # sampled for training: enough for any number of pieces, and bounded memory


def train_bpe(
    sentences: Iterable[str],
    model: str | Path,
    *,
    num_pieces: int,
    model_type: str = "unigram",
    non_linguistic_symbols: Sequence[str] = (),
    **options: str | int | bool,
) -> list[str]:
    """Train sentencepiece (Kudo and Richardson 2018) and write `model` atomically.

    Args:
        num_pieces: size of the vocabulary, sentencepiece's three control pieces included, as ESPnet counts.
        non_linguistic_symbols: never split, such as "<laugh>".
        options: further ones of sentencepiece.

    Returns:
        The pieces in the model's order, without control pieces.

    Raises:
        UserError: more pieces than the text supports, fewer than its letters, or no text.
    """
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    buffer = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=buffer,
            vocab_size=num_pieces,
            model_type=model_type,
            character_coverage=1.0,
            input_sentence_size=MAX_SENTENCES,
            user_defined_symbols=list(non_linguistic_symbols),
            minloglevel=2,  # errors only
            **cast(dict[str, Any], options),  # sentencepiece names some of them in its types
        )
    except (RuntimeError, OSError) as error:  # "Internal: file.cc(12) [condition] What is wrong. Which option helps."
        reason = str(error).rsplit("] ", 1)[-1].split(" Increase ")[0].strip()
        raise UserError(f"--nbpe {num_pieces} does not suit this text; sentencepiece says: {reason}") from None
    with atomic_write(model, "wb") as stream:
        stream.write(buffer.getvalue())
    processor = SentencePieceProcessor(model_proto=buffer.getvalue())
    pieces = (processor.id_to_piece(number) for number in range(processor.get_piece_size()))
    return [piece for piece in pieces if piece not in CONTROL_PIECES]
