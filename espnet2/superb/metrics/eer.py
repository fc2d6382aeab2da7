"""Scores of trials in, the equal error rate out."""

from collections.abc import Sequence

import numpy as np

from espnet2.superb.classes import NEED
from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs


def equal_error_rate(is_target: Sequence[bool], scores: Sequence[float]) -> float:
    """Where as many targets are missed as others are taken: the ROC of scikit-learn, joined by straight lines.

    Args:
        is_target: of every trial.
        scores: higher: more alike.

    Raises:
        UserError: no trial of one kind; a score is no number; scikit-learn is not installed.

    >>> equal_error_rate([True, True, False, False], [0.9, 0.4, 0.6, 0.1])
    0.5
    """
    with needs(NEED):
        from sklearn.metrics import roc_curve
    truth, values = np.asarray(is_target, dtype=bool), np.asarray(scores, dtype=float)
    if truth.all() or not truth.any():
        raise UserError(f"{int(truth.sum())} of {len(truth)} trials are targets: an EER needs both kinds")
    if not np.isfinite(values).all():
        raise UserError("scores of trials are no numbers: the training went wrong; try smaller learning rates")
    false_alarms, hits, _ = roc_curve(truth, values, drop_intermediate=False)
    difference = (1 - hits) - false_alarms  # from 1 to -1, never rising
    after = int(np.argmax(difference <= 0))
    if difference[after] == 0:
        return float(false_alarms[after])
    before = after - 1
    share = difference[before] / (difference[before] - difference[after])
    return float(false_alarms[before] + share * (false_alarms[after] - false_alarms[before]))
