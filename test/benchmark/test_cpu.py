"""The comparison on a CPU with a tiny model in, a table of everybody out."""

import torch
from cpu import OURS, SIZES, as_markdown, contestants, measure

from espnet2.train import precision


def test_everybody_is_timed_on_the_same_batches(monkeypatch):
    monkeypatch.setattr("cpu.has_matrix_units", lambda: True)
    monkeypatch.setattr(precision, "has_matrix_units", lambda: True)
    updates = contestants(SIZES["tiny"])
    batch = updates["transformers, bf16"].batches[0]
    assert torch.equal(batch.wavs, updates[f"{OURS}, fp32"].loaded[0].batch.wavs)
    seconds = measure(updates, rounds=2)
    assert {name: len(times) for name, times in seconds.items()} == dict.fromkeys(updates, 2)
    table = as_markdown("tiny", SIZES["tiny"], seconds)
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert [row.split("|")[1].strip() for row in rows] == list(updates) and len(rows) == 6
    assert "| 1.00 times as long |" in rows[1]
