"""A made-up corpus with official .item files, and the ABX error rates that fastabx 0.9.0 gives for it."""

import random
from pathlib import Path

import torch

FRAMES_PER_SECOND = 50
HEADER = "#file onset offset #phone prev-phone next-phone speaker"
# (condition, mode, distance) -> what fastabx 0.9.0 gave; test/interop/test_fastabx.py computes it again.
FIGURES = {
    ("triphone-within", "within", "angular"): 0.305155,
    ("triphone-within", "within", "euclidean"): 0.292934,
    ("triphone-within", "within", "equal"): 0.500448,
    ("triphone-within", "across", "angular"): 0.272262,
    ("triphone-within", "across", "euclidean"): 0.288086,
    ("triphone-within", "across", "equal"): 0.424441,
    ("phoneme-within", "within", "angular"): 0.121103,
    ("phoneme-within", "within", "euclidean"): 0.128998,
    ("phoneme-within", "within", "equal"): 0.338481,
    ("phoneme-within", "across", "angular"): 0.121189,
    ("phoneme-within", "across", "euclidean"): 0.116245,
    ("phoneme-within", "across", "equal"): 0.337352,
    ("phoneme-any", "within", "angular"): 0.112779,
    ("phoneme-any", "within", "euclidean"): 0.105375,
    ("phoneme-any", "within", "equal"): 0.333039,
    ("phoneme-any", "across", "angular"): 0.115405,
    ("phoneme-any", "across", "euclidean"): 0.105932,
    ("phoneme-any", "across", "equal"): 0.327591,
}


def write_official(folder: Path, num_files: int = 40, num_speakers: int = 4) -> dict[str, torch.Tensor]:
    """<folder>/{triphone,phoneme}-dev-clean.item; file -> (frames, 6) features.

    Times are LibriSpeech's multiples of 2.5 ms: many lie exactly on the middle of a frame, where both ends count.
    """
    generator = random.Random(7)
    means = {name: [generator.gauss(0, 1) for _ in range(6)] for name in "abcde"}
    lines: dict[str, list[str]] = {"triphone": [HEADER], "phoneme": [HEADER]}
    features = {}
    for number in range(num_files):
        speaker = f"{84 + number % num_speakers}"
        file = f"{speaker}-{121123 + number}-{number:04d}"
        phones, time = [], 0.0025 * generator.randrange(20)
        for name in generator.choices("abcde", k=14):
            end = time + 0.0025 * generator.randrange(10, 40)
            phones.append((time, end, name))
            time = end
        frames = []
        for t in range(int(time * FRAMES_PER_SECOND) + 2):
            centre = (t + 0.5) / FRAMES_PER_SECOND
            name = next((phone for _, end, phone in phones if centre < end), phones[-1][2])
            frames.append([value + 0.9 * generator.gauss(0, 1) for value in means[name]])
        features[file] = torch.tensor(frames)
        for before, phone, after in zip(phones, phones[1:], phones[2:], strict=False):
            names = f"{phone[2]} {before[2]} {after[2]} {speaker}"
            lines["triphone"].append(f"{file} {before[0]:.4f} {after[1]:.4f} {names}")
            lines["phoneme"].append(f"{file} {phone[0]:.4f} {phone[1]:.4f} {names}")
    folder.mkdir(parents=True, exist_ok=True)
    for span, rows in lines.items():
        (folder / f"{span}-dev-clean.item").write_text("\n".join(rows) + "\n")
    return features


def as_ids(features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Units: which value of a frame is the largest, (frames, 1)."""
    return {file: frames.argmax(1, keepdim=True).float() for file, frames in features.items()}
