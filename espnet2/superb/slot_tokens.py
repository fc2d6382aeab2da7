"""Texts with marks of slots in, CTC tokens out: letters, blanks, and a token for every mark."""

from collections.abc import Iterable, Sequence

from espnet2.superb.metrics.slots import Slot
from espnet2.text.ctc import CtcTokens, spelt
from espnet2.text.tokenizer import SPACE


def tokenize(text: str) -> list[str]:
    """Letters and marks; the blank between a mark and its slot is none of the text.

    >>> tokenize("A B-x NO E-x")
    ['A', '<space>', 'B-x', 'N', 'O', 'E-x']
    """
    tokens: list[str] = []
    for word in text.split():
        if tokens and not Slot.ends(word) and not Slot.begins(tokens[-1]):
            tokens.append(SPACE)
        tokens += [word] if Slot.begins(word) or Slot.ends(word) else list(word)
    return tokens


class SlotTokens(CtcTokens):
    """The token list of training texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__(sorted({token for text in texts for token in tokenize(text)}), tokenize, "slots")

    def decode(self, best: Sequence[int]) -> str:
        """The most likely symbol of every frame -> text with marks.

        >>> tokens = SlotTokens(["A B-x NO E-x"])
        >>> tokens.decode(tokens.encode("A B-x NO E-x"))
        'A B-x NO E-x'
        """
        text = ""
        for symbol in (self.symbols[number] for number in spelt(best)):
            if Slot.begins(symbol):
                text += f" {symbol} "
            else:
                text += f" {symbol} " if Slot.ends(symbol) else " " if symbol == SPACE else symbol
        return " ".join(text.split())
