"""A folder in, tiny corpora in the layouts of SUPERB's out: tones, whose pitch says what they are."""

import csv
from pathlib import Path

import numpy as np
import soundfile

from espnet2.data_prep.superb.speech_commands import CLASSES, NOISE, TEST_FOLDER, TRAIN_FOLDER, which_set

RATE = 16_000
QUICK = {"updates": 24, "eval_every": 12, "batch_size": 8, "accumulate": 1}


def tone(path: Path, hertz: float, *, seconds: float = 0.4, seed: int = 0) -> Path:
    """One file; the same words give the same samples."""
    generator = np.random.default_rng((seed, round(hertz)))
    time = np.arange(round(seconds * RATE)) / RATE
    wave = 0.3 * np.sin(2 * np.pi * hertz * time + generator.uniform(0, 6)) + 0.003 * generator.standard_normal(
        len(time)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, RATE, subtype="PCM_16")
    return path


def speech_commands(root: Path) -> Path:
    """Both archives: every word a tone of its own, six files of speakers of both sets."""
    words = [*(word for word in CLASSES if not word.startswith("_")), "bed", "cat"]
    for number, word in enumerate(words):
        files = dict.fromkeys(("train", "dev"), 0)
        speaker = 0
        while min(files.values()) < 2:
            name = f"{speaker:08x}_nohash_0.wav"
            speaker += 1
            part = which_set(name)
            if part != "test" and files[part] < 2:
                files[part] += 1
                tone(root / TRAIN_FOLDER / word / name, 300 + 250 * number, seed=speaker)
        test_folder = word if word in CLASSES else "_unknown_"
        tone(root / TEST_FOLDER / test_folder / f"{number:08x}_nohash_0.wav", 300 + 250 * number, seed=99)
    tone(root / TRAIN_FOLDER / NOISE / "white.wav", 60, seconds=3.2)
    tone(root / TEST_FOLDER / "_silence_" / "0.wav", 60, seconds=1.0, seed=5)
    return root


def fluent_speech_commands(root: Path) -> Path:
    """Two actions with two objects, without a location."""
    for name, count in (("train", 6), ("valid", 3), ("test", 3)):
        rows = []
        for action, object_name in ((0, 0), (0, 1), (1, 0), (1, 1)):
            for number in range(count):
                path = f"wavs/speakers/spk{number}/{name}-{action}{object_name}{number}.wav"
                tone(root / path, 400 + 900 * action + 1800 * object_name, seed=number)
                rows.append({
                    "path": path, "speakerId": f"spk{number}", "transcription": "turn it on",
                    "action": ["activate", "change language"][action], "object": ["lights", "music"][object_name],
                    "location": "none",
                })  # fmt: skip
        file = root / "data" / f"{name}_data.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return root


def voxceleb1(root: Path) -> Path:
    """Three speakers of dev, two of test, six files each, and both lists."""
    split, names = [], {"dev": [], "test": []}
    for part, speakers in (("dev", (1, 2, 3)), ("test", (4, 5))):
        for speaker in speakers:
            for number in range(6):
                name = f"id1000{speaker}/video{number % 2}/{number:05d}.wav"
                tone(root / part / "wav" / name, 300 + 500 * speaker, seconds=0.5, seed=number)
                split.append(f"{1 if number < 4 else number - 2} {name}")
                names[part].append(name)
    (root / "iden_split.txt").write_text("\n".join(split) + "\n")
    test = names["test"]
    pairs = [(a, b) for i, a in enumerate(test) for b in test[i + 1 :]]
    trials = [f"{int(a.split('/')[0] == b.split('/')[0])} {a} {b}" for a, b in pairs]
    (root / "veri_test2.txt").write_text("\n".join(trials) + "\n")
    return root


def iemocap(root: Path) -> Path:
    """Five sessions, four labels and one that is not used."""
    for session in range(1, 6):
        lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
        for number in range(12):
            label = ("neu", "exc", "ang", "sad")[number % 4]
            name = f"Ses0{session}F_impro01_F{number:03d}"
            hertz = 400 + 800 * (number % 4)
            tone(
                root / f"Session{session}/sentences/wav/Ses0{session}F_impro01/{name}.wav",
                hertz,
                seed=10 * session + number,
            )
            lines += [f"[{number}.5000 - {number + 1}.2500]\t{name}\t{label}\t[2.5, 2.5, 2.5]", "C-E1:\tNeutral;\t()"]
        lines.append(f"[20.0000 - 21.0000]\tSes0{session}F_impro01_F099\txxx\t[2.5, 2.5, 2.5]")
        folder = root / f"Session{session}/dialog/EmoEvaluation"
        folder.mkdir(parents=True)
        (folder / f"Ses0{session}F_impro01.txt").write_text("\n".join(lines) + "\n")
    return root
