"""A folder in, tiny corpora in the layouts of SUPERB's out: tones, whose pitch says what they are."""

import csv
import shutil
from pathlib import Path

import numpy as np
import soundfile
from tiny_units import run_program

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


PITCH = {"A": 500, "B": 1300, "C": 2700, "D": 4200, "E": 900, "T": 3300, "S": 2000}


def letters(path: Path, text: str, *, seed: int = 0) -> Path:
    """One file: a tone for every letter, with pauses between."""
    generator = np.random.default_rng(seed)
    parts = [np.zeros(800)]
    for letter in text:
        time = np.arange(1600) / RATE
        parts += [0.3 * np.sin(2 * np.pi * PITCH[letter] * time) if letter != " " else np.zeros(1600), np.zeros(800)]
    wave = np.concatenate(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave + 0.003 * generator.standard_normal(len(wave)), RATE, subtype="PCM_16")
    return path


def librispeech(root: Path) -> Path:
    """Words of three letters, and a lexicon that spells them."""
    words = ["ABC", "CAB", "BAD", "DAB", "ACD"]
    for part, count in (("train-clean-100", 24), ("dev-clean", 5), ("test-clean", 5)):
        lines = []
        for number in range(count):
            text = " ".join(words[(number * step + step) % 5] for step in (1, 2))
            utt_id = f"{number % 2 + 1}-7-{number:04d}"
            folder = root / "LibriSpeech" / part / f"{number % 2 + 1}" / "7"
            letters(folder / f"{utt_id}.flac", text, seed=number)
            lines.append((folder / f"{number % 2 + 1}-7.trans.txt", f"{utt_id} {text}\n"))
        for file, line in lines:
            with open(file, "a", encoding="utf-8") as stream:
                stream.write(line)
    (root / "lexicon.txt").write_text("".join(f"{word}\t{' '.join(word)}\n" for word in words))
    return root


def audio_snips(root: Path) -> Path:
    """Two kinds of slots, speakers of the official lists."""
    lines = []
    for part, speakers in (("train", ("Ivy", "Joey")), ("valid", ("Amy",)), ("test", ("Emma",))):
        for speaker in speakers:
            for number in range(8):
                words = ["BAD", ("AB", "CD")[number % 2], ("TA", "SE")[number // 2 % 2]]
                name = f"{speaker}-snips-{part}-{number}"
                letters(root / part / f"{name}.wav", " ".join(words), seed=number)
                lines.append(f"{name} BOS {' '.join(words)} . EOS\tO O track artist O Intent\n")
    (root / "all.iob.snips.txt").write_text("".join(lines))
    return root


def libri2mix(root: Path) -> Path:
    """Two tones that take turns and overlap, in the tables of s3prl's script."""
    for part, count in (("train", 8), ("dev", 3), ("test", 3)):
        folder = root / part
        folder.mkdir(parents=True)
        wavs, segments, speakers = [], [], []
        for number in range(count):
            name = f"{part}{number}"
            time = np.arange(2 * RATE) / RATE
            spans = {"x": (0.1 * (number % 3), 1.2), "y": (1.0, 1.8)}
            wave = 0.003 * np.random.default_rng(number).standard_normal(len(time))
            for (speaker, (start, end)), hertz in zip(spans.items(), (500, 2500), strict=True):
                wave += 0.3 * np.sin(2 * np.pi * hertz * time) * ((time >= start) & (time < end))
                segments.append(f"{name}-{speaker} {name} {start:.3f} {end:.3f}\n")
                speakers.append(f"{name}-{speaker} {speaker}\n")
            soundfile.write(folder / f"{name}.wav", wave, RATE, subtype="PCM_16")
            wavs.append(f"{name} {folder / f'{name}.wav'}\n")
        for table, lines in (("wav.scp", wavs), ("segments", segments), ("utt2spk", speakers)):
            (folder / table).write_text("".join(sorted(lines)))
    return root


def quesst14(root: Path) -> Path:
    """Documents of five letters; queries are two of them; a document in another language."""
    texts = {"d0": "ABCDA", "d1": "BADCB", "d2": "CCDDA", "d3": "DBDBD"}
    lists = {"utterances": [], "dev": [], "eval": []}
    for name, text in texts.items():
        letters(root / "Audio" / f"{name}.wav", text)
        lists["utterances"].append(f"quesst14Database/Audio/{name}.wav nnenglish")
    lists["utterances"].append("quesst14Database/Audio/other.wav albanian")
    for part, queries in (("dev", ("BC", "AD", "CB")), ("eval", ("DA", "DB"))):
        truth = root / "scoring" / f"groundtruth_quesst14_{part}"
        truth.mkdir(parents=True)
        rttm, terms = [], []
        for number, query in enumerate(queries):
            name = f"{part}{number}"
            letters(root / f"{part}_queries" / f"{name}.wav", query, seed=50 + number)
            lists[part].append(f"quesst14Database/{part}_queries/{name}.wav nnenglish")
            rttm += [f"LEXEME {doc} 1 0.00 1.00 {name} lex spk 1.0\n" for doc, text in texts.items() if query in text]
            terms.append(f'<term termid="{name}"><termtext>{name}</termtext></term>')
        (truth / "q.rttm").write_text("".join(rttm))
        (truth / "q.tlist.xml").write_text(f"<termlist>{''.join(terms)}</termlist>\n")
    for name, lines in lists.items():
        (root / "scoring" / f"language_key_{name}.lst").write_text("\n".join(lines) + "\n")
    return root


def ml_superb(root: Path) -> Path:
    """Two languages with letters of their own."""
    for source, language, texts in (("mls", "eng", ("AB", "BA", "BB")), ("swc", "deu", ("CD", "DC", "CC"))):
        folder = root / source / language
        for part, count in (("10min_train", 12), ("10min_dev", 3), ("10min_test", 3)):
            lines = []
            for number in range(count):
                name = f"{source}_{language}_{part}_{number:06d}"
                letters(folder / "wav" / f"{name}.wav", texts[number % 3], seed=number)
                lines.append(f"{name} {number} {texts[number % 3].lower()}!\n")
            (folder / f"transcript_{part}.txt").write_text("".join(lines))
    return root


def prepare_sequences(root: Path) -> Path:
    """The data of all tasks but those of whole utterances, prepared: a folder for each task."""
    libri = librispeech(root / "librispeech")
    lexicon = f"lexicon=[{libri / 'lexicon.txt'}]"
    run_program("ssl_superb_data", "--corpus", "librispeech", "--options", lexicon, "--", libri, root / "data")
    for make in (audio_snips, libri2mix, quesst14, ml_superb, voxceleb1):
        run_program("ssl_superb_data", "--corpus", make.__name__, make(root / make.__name__), root / "data")
    shutil.rmtree(root / "data/sid")
    return root / "data"
