"""Errors and lengths of utterances in, a confidence interval of the error rate out."""

from collections.abc import Sequence

import numpy as np

from espnet2.text.ctc import require_jiwer

NUM_RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)  # of the resampled rates: 95 % of them lie between
SEED = 0


def error_interval(errors: Sequence[int], lengths: Sequence[int]) -> tuple[float, float]:
    """The 95 % interval of an error rate, by bootstrap over utterances (Bisani and Ney 2004, section 2).

    Utterances are drawn with replacement, as many as there are: what one utterance has of luck is seen, what a speaker
    has is not. The same errors give the same interval.

    Args:
        errors: substitutions, insertions and deletions of each utterance.
        lengths: tokens of its reference.

    >>> error_interval([1, 1, 1], [4, 4, 4])
    (0.25, 0.25)
    """
    random = np.random.default_rng(SEED)
    wrong, said = np.asarray(errors, dtype=np.float64), np.asarray(lengths, dtype=np.float64)
    rates = np.empty(NUM_RESAMPLES)
    for number in range(NUM_RESAMPLES):  # one by one: all draws of a large set at once would fill the memory
        drawn = random.integers(0, len(wrong), len(wrong))
        rates[number] = wrong[drawn].sum() / said[drawn].sum()
    low, high = np.percentile(rates, PERCENTILES)
    return float(low), float(high)


def error_intervals(
    references: Sequence[str], hypotheses: Sequence[str], token_type: str
) -> dict[str, tuple[float, float]]:
    """The intervals of the rates that `error_rates` gives, by the same names.

    Args:
        references: none of them empty.

    Raises:
        UserError: jiwer is not installed.

    >>> error_intervals(["a b c d", "a b c d"], ["a b c d", "a b c d"], "phn")
    {'per': (0.0, 0.0)}
    """
    jiwer = require_jiwer()
    counts: dict[str, list[tuple[int, int]]] = {}
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        measures = {"per" if token_type == "phn" else "wer": jiwer.process_words(reference, hypothesis)}
        if token_type != "phn":
            measures["cer"] = jiwer.process_characters(reference, hypothesis)
        for name, edits in measures.items():
            wrong = edits.substitutions + edits.deletions
            counts.setdefault(name, []).append((wrong + edits.insertions, wrong + edits.hits))
    return {
        name: error_interval(*(list(column) for column in zip(*pairs, strict=True))) for name, pairs in counts.items()
    }
