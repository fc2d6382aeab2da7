"""Label sequences in, the figures of their spread out: worked by hand."""

import math

import numpy as np
import pytest

from espnet2.data.labels.statistics import label_statistics

UTTERANCES = [np.array([1, 1, 0]), np.array([], dtype=int), np.array([0, 0, 2, 2, 2])]


def test_hand_worked_case() -> None:
    statistics = label_statistics(UTTERANCES, num_classes=5)
    assert (statistics.num_utterances, statistics.num_labels, statistics.num_classes, statistics.num_used_classes) == (
        2,
        8,
        5,
        3,
    )
    shares = [3 / 8, 2 / 8, 3 / 8]
    assert statistics.entropy_nats == pytest.approx(-sum(share * math.log(share) for share in shares))
    assert statistics.perplexity == pytest.approx(math.exp(statistics.entropy_nats))
    assert (statistics.top_class, statistics.top_share) == (0, 3 / 8)
    assert statistics.mean_run_labels == 2.0  # 1 1 | 0 || 0 0 | 2 2 2: an utterance starts a run of its own


def test_buffers_do_not_show(monkeypatch) -> None:
    whole = label_statistics(UTTERANCES, num_classes=5)
    monkeypatch.setattr("espnet2.data.labels.statistics.BUFFER_LABELS", 1)
    assert label_statistics(UTTERANCES, num_classes=5) == whole


def test_one_class_and_nothing() -> None:
    one = label_statistics([np.array([3, 3])], num_classes=5)
    assert (one.num_used_classes, one.perplexity, one.top_share, one.mean_run_labels) == (1, 1.0, 1.0, 2.0)
    nothing = label_statistics([], num_classes=5)
    assert (nothing.num_labels, nothing.num_used_classes, nothing.mean_run_labels) == (0, 0, 0.0)


def test_the_line_for_the_log_holds_the_figures() -> None:
    line = label_statistics(UTTERANCES, num_classes=5).describe(50)
    for part in ("8 labels of 2 utterances", "3 of 5 classes", "top class 0 has 37.5 %", "2.00 labels (40 ms)"):
        assert part in line
