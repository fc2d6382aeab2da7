"""A made-up corpus in, the same ABX error rates from fastabx and from here out, on a Python that fastabx runs on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from abx_by_hand import FASTABX_FIGURES, SILENCE, Spoken, fastabx_corpus

from espnet2.evaluate.abx.distance import DISTANCES

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1200)]
FASTABX = "fastabx==0.9.0"
FRAMES_PER_SECOND = 50
SHIFT_SECONDS = 0.0025  # our frame t is at t / 50 s + 12.5 ms, theirs at t / 50 s + 10 ms
IN_FASTABX = """
import json, sys
from fastabx.zerospeech import zerospeech_abx
error_rates = {}
for distance, theirs in (("angular", "angular"), ("euclidean", "euclidean"), ("equal", "identical")):
    for mode in ("within", "across"):
        folder = f"{sys.argv[1]}/{distance}"
        error_rates[f"{distance} {mode}"] = zerospeech_abx(
            f"{folder}/corpus.item", folder, speaker=mode, context="within", distance=theirs, frequency=50,
            max_size_group=None, max_x_across=None,
        )
json.dump(error_rates, open(sys.argv[2], "w"))
"""


def write_corpus(folder: Path, spoken: list[Spoken]) -> None:
    """<utt>.pt and corpus.item, as ZeroSpeech has them."""
    folder.mkdir(parents=True)
    lines = ["#file onset offset #phone prev-phone next-phone speaker"]
    for utterance in spoken:
        torch.save(torch.tensor(utterance.frames), folder / f"{utterance.utt_id}.pt")
        last = (len(utterance.frames) - 0.5) / FRAMES_PER_SECOND + 1e-4  # they refuse ends behind the last frame
        for before, phone, after in zip(utterance.phones, utterance.phones[1:], utterance.phones[2:], strict=False):
            if SILENCE not in (before[2], phone[2], after[2]):
                onset, offset = max(0.0, before[0] - SHIFT_SECONDS), min(last, after[1] - SHIFT_SECONDS)
                names = f"{phone[2]} {before[2]} {after[2]} {utterance.speaker}"
                lines.append(f"{utterance.utt_id} {onset:.6f} {offset:.6f} {names}")
    (folder / "corpus.item").write_text("\n".join(lines) + "\n")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="fastabx needs Python 3.12 or newer")
def test_fastabx_gives_the_stored_figures_on_python_3_12_or_newer(tmp_path):
    """test_abx_definition.py holds our figures against the stored ones on every Python."""
    for distance in DISTANCES:
        write_corpus(tmp_path / distance, fastabx_corpus(distance))
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env/bin/python"
    torch_pin = f"torch=={torch.__version__.split('+')[0]}"
    subprocess.run([python, "-m", "pip", "install", "-q", FASTABX, torch_pin], check=True)
    subprocess.run([python, "-c", IN_FASTABX, tmp_path, tmp_path / "error_rates.json"], check=True)
    error_rates = json.loads((tmp_path / "error_rates.json").read_text())
    assert error_rates == {" ".join(key): pytest.approx(value, abs=1e-6) for key, value in FASTABX_FIGURES.items()}
