"""Texts with marked slots in, the F1 of the kinds of slots and the CER of their values out (s3prl, ctc/metric.py)."""

import re
from collections.abc import Sequence
from statistics import fmean

from espnet2.text.ctc import require_jiwer

NO_SLOT = "O"
FILLED = re.compile(r"B-(\S+) (.+?) E-\1(?= |$)")
INNER_MARK = re.compile(r"(?:^|(?<= ))[BE]-\S+ ?")


class Slot:
    """The marks of a slot: B-<name> before its value, E-<name> behind it."""

    @staticmethod
    def begins(symbol: str) -> bool:
        """Whether a slot begins here."""
        return symbol.startswith("B-") and len(symbol) > 2

    @staticmethod
    def ends(symbol: str) -> bool:
        """Whether a slot ends here."""
        return symbol.startswith("E-") and len(symbol) > 2


def marked(words: Sequence[str], slots: Sequence[str]) -> str:
    """Words with marks around runs of the same slot.

    >>> marked(["PLAY", "LET", "IT", "BE", "NOW"], ["O", "track", "track", "track", "O"])
    'PLAY B-track LET IT BE E-track NOW'
    """
    parts: list[str] = []
    for number, (word, slot) in enumerate(zip(words, slots, strict=True)):
        if slot != NO_SLOT and (number == 0 or slots[number - 1] != slot):
            parts.append(f"B-{slot}")
        parts.append(word)
        if slot != NO_SLOT and (number == len(words) - 1 or slots[number + 1] != slot):
            parts.append(f"E-{slot}")
    return " ".join(parts)


def filled(text: str) -> dict[str, list[str]]:
    """Name of a slot -> its values in order; a slot that is never closed is none.

    >>> filled("PLAY B-track LET IT BE E-track BY B-artist THEM")
    {'track': ['LET IT BE']}
    """
    values: dict[str, list[str]] = {}
    for name, value in FILLED.findall(text):
        values.setdefault(name, []).append(" ".join(INNER_MARK.sub("", value).split()))
    return values


def slot_figures(references: Sequence[str], hypotheses: Sequence[str]) -> dict[str, float]:
    """F1 of the kinds of slots, mean over utterances; CER of the values, over all characters of the references.

    A value is compared with the nearest one of the same kind in the same utterance; none there counts as empty.
    An utterance without slots has an F1 of 1 where none was heard, else 0.

    Raises:
        UserError: jiwer is not installed.
    """
    jiwer = require_jiwer()
    scores, truths, heard = [], [], []
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        true, given = filled(reference), filled(hypothesis)
        both = len(true.keys() & given.keys())
        total = len(true) + len(given)
        scores.append(2 * both / total if total else 1.0)
        for name, values in true.items():
            for value in values:
                candidates = given.get(name) or [""]
                truths.append(value)
                heard.append(min(candidates, key=lambda candidate: jiwer.cer(value, candidate)))
    return {"f1": fmean(scores), "cer": float(jiwer.cer(truths, heard)) if truths else 0.0}
