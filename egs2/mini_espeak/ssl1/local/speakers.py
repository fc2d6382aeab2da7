"""A number and a seed in, one invented speaker out: an espeak-ng voice file, a gender and a speaking rate."""

from random import Random
from typing import NamedTuple

NUM_FORMANTS = 9  # espeak-ng voice files number the resonances 0 to 8

# Ranges: half of what still sounds like a person, so that speakers differ but stay intelligible.
PITCH_HZ = {"m": (75.0, 125.0), "f": (140.0, 215.0)}
VOCAL_TRACT_PERCENT = {"m": (95.0, 101.0), "f": (107.5, 114.5)}  # scale of all resonances; short tracts are high


class Speaker(NamedTuple):
    """A voice nobody has."""

    name: str  # also the name of the voice file
    gender: str  # "m" or "f"
    words_per_minute: int
    voice_file: str  # the contents, in espeak-ng's format


def make_speaker(number: int, *, seed: int) -> Speaker:
    """Invent speaker `number` (0 to 999); even numbers are male, odd ones female."""
    random = Random(f"{seed}/speaker/{number}")
    name, gender = f"s{number:03d}", "mf"[number % 2]
    pitch = random.uniform(*PITCH_HZ[gender])
    tract = random.uniform(*VOCAL_TRACT_PERCENT[gender])
    lines = [
        "language variant",
        f"name {name}",
        f"gender {'male' if gender == 'm' else 'female'}",
        f"pitch {pitch:.0f} {pitch * random.uniform(1.25, 1.6):.0f}",
        f"flutter {random.randint(1, 6)}",
        f"roughness {random.randint(0, 3)}",
        f"voicing {random.uniform(80, 100):.0f}",
        f"consonants {random.uniform(86, 109):.0f} {random.uniform(90, 110):.0f}",
        f"intonation {random.randint(1, 4)}",
        # pairs of frequency in Hz and amplitude: the tilt of the spectrum
        f"tone 600 {random.uniform(145, 175):.0f} 1200 {random.uniform(110, 140):.0f} "
        f"2000 {random.uniform(87, 113):.0f}",
    ]
    for formant in range(NUM_FORMANTS):
        frequency = tract * random.uniform(0.985, 1.015)
        lines.append(f"formant {formant} {frequency:.0f} {random.uniform(90, 110):.0f} {random.uniform(95, 115):.0f}")
    return Speaker(name, gender, random.randint(130, 200), "\n".join(lines) + "\n")
