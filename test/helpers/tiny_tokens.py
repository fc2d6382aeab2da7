"""A folder of tokens of a tiny made-up language, in the form of ssl_dump_labels."""

import random
from pathlib import Path

from espnet2.utils.files import write_json

NEXT = {0: (1, 2), 1: (3,), 2: (4,), 3: (0, 5), 4: (5, 0), 5: (0,)}  # what may follow each unit
LABEL_RATE = 50.0


def sentence(generator: random.Random, length: int) -> list[int]:
    """Units that follow each other as they may."""
    units = [generator.randrange(len(NEXT))]
    while len(units) < length:
        units.append(generator.choice(NEXT[units[-1]]))
    return units


def write_tokens(
    folder: Path, sentences: dict[str, list[int]], *, frames: int = 2, units_hash: str = "language"
) -> Path:
    """Each token lasts `frames` frames."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"units": "made up", "units_hash": units_hash, "num_units": len(NEXT), "label_rate": LABEL_RATE}
    write_json(folder / "labels.json", {**about, "num_tokens": len(NEXT), "deduplicated": True, "bpe": None})
    (folder / "tokens.txt").write_text("".join(f"{unit}\n" for unit in range(len(NEXT))))
    for name, values in (
        ("text", sentences),
        ("durations.txt", {key: [frames] * len(v) for key, v in sentences.items()}),
    ):
        lines = [" ".join([utt_id, *map(str, units)]) + "\n" for utt_id, units in values.items()]
        (folder / name).write_text("".join(lines))
    return folder


def make_tokens(folder: Path, count: int, seed: int, **options: object) -> Path:
    """So many sentences of 5 to 40 units."""
    generator = random.Random(seed)
    sentences = {f"u{number:03d}": sentence(generator, generator.randrange(5, 40)) for number in range(count)}
    return write_tokens(folder, sentences, **options)
