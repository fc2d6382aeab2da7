"""dump/ of ../hubert1 and the corpus in, data/{pr,ks,sid} out: SUPERB's tasks on Mboshi, small enough for two cores."""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from espnet2.data_prep.superb.base import CARD, write_set
from espnet2.text.ctc import TextRules
from espnet2.units.transcripts import read_texts
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import hash_bytes
from espnet2.utils.kaldi_table import read_table

SETS = {"train": "train", "dev": "dev", "test": "test"}  # test is a speaker that train and dev do not have
NUM_KEYWORDS = 10
KEYWORD_SECONDS = (0.12, 1.0)  # of a word: much longer ones are times that went wrong
SILENCE, SILENCE_SECONDS = "SIL", 0.2  # shortest
CLOCK_SECONDS = 0.07  # by which the published times are late: ../../README.md, "The clock"
MOST = {"train": 200, "dev": 40, "test": 40}  # of a class of keywords
SPEAKER_UTTERANCES = 150  # of every speaker
SHARES = {"train": 0.6, "dev": 0.8, "test": 1.0}  # of a speaker's utterances, by a hash of their names


class Word(NamedTuple):
    """One word of an alignment."""

    utt_id: str
    start_seconds: float
    end_seconds: float
    text: str


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mboshi_root", type=Path, required=True, help="a clone of mboshi-french-parallel-corpus")
    parser.add_argument("--dumpdir", type=Path, required=True, help="dump/ of ../hubert1, after stage 4")
    parser.add_argument("--pr_utterances", type=int, default=1000, help="of train, for phones (%(default)s)")
    parser.add_argument("data", type=Path, help="gets <task>/{train,dev,test}")
    return parser


def wavs_of(dumpdir: Path, dump_set: str) -> dict[str, str]:
    """Utterance -> its file, whatever folder a recipe is run from."""
    base = dumpdir.resolve().parent
    return {name: str(base / path) for name, path in read_table(dumpdir / dump_set / "wav.scp").items()}


def by_hash(names: list[str], count: int) -> list[str]:
    """A sample that does not depend on order."""
    return sorted(names, key=hash_bytes)[:count]


def phones(dumpdir: Path, data: Path, most: int) -> None:
    """PR: the phones of an utterance without its silences."""
    for part, dump_set in SETS.items():
        wavs = wavs_of(dumpdir, dump_set)
        texts = read_texts(dumpdir / dump_set, TextRules("phn"), None)
        names = by_hash([name for name in wavs if texts.get(name)], most if part == "train" else len(wavs))
        write_set(
            data / "pr" / part, {name: wavs[name] for name in names}, {"text": {name: texts[name] for name in names}}
        )


def speakers(dumpdir: Path, data: Path) -> None:
    """SID: all three speakers in every set."""
    wavs = {name: path for dump_set in SETS.values() for name, path in wavs_of(dumpdir, dump_set).items()}
    owner = {name: name.split("_")[0] for name in wavs}
    parts: dict[str, list[str]] = {part: [] for part in SETS}
    for speaker in sorted(set(owner.values())):
        names = by_hash([name for name in wavs if owner[name] == speaker], SPEAKER_UTTERANCES)
        for number, name in enumerate(names):
            parts[next(part for part, share in SHARES.items() if number < share * len(names))].append(name)
    for part, names in parts.items():
        write_set(data / "sid" / part, {n: wavs[n] for n in names}, {"utt2spk": {n: owner[n] for n in names}})


def read_words(root: Path, names: list[str]) -> Iterator[Word]:
    """Words of all utterances whose times may be right, by the corrected clock."""
    for name in names:
        path = root / "ZRC_scoring/mboshi/in" / f"{name}.wrd"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            fields = line.split()
            if len(fields) != 3:
                raise UserError(f"{path}:{number}: expected '<start s> <end s> <word>', got '{line}'")
            start, end = (max(0.0, float(field) - CLOCK_SECONDS) for field in fields[:2])
            shortest, longest = KEYWORD_SECONDS if fields[2] != SILENCE else (SILENCE_SECONDS, KEYWORD_SECONDS[1])
            if shortest <= end - start <= longest:
                yield Word(name, start, end, fields[2])


def keywords(root: Path, dumpdir: Path, data: Path) -> None:
    """KS: the ten words that are most frequent in train, all others, and silence."""
    words = {part: list(read_words(root, list(wavs_of(dumpdir, dump_set)))) for part, dump_set in SETS.items()}
    counts = Counter(word.text for word in words["train"] if word.text != SILENCE)
    chosen = {text for text, _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:NUM_KEYWORDS]}
    for part, dump_set in SETS.items():
        wavs = wavs_of(dumpdir, dump_set)
        label_of = {}
        for word in words[part]:
            label = "_silence_" if word.text == SILENCE else word.text if word.text in chosen else "_unknown_"
            label_of[f"{word.utt_id}-{round(1000 * word.start_seconds):06d}"] = (word, label)
        classes: dict[str, list[str]] = {}
        for name, (_, label) in label_of.items():
            classes.setdefault(label, []).append(name)
        kept = {name: label_of[name] for names in classes.values() for name in by_hash(names, MOST[part])}
        segments = {
            name: f"{word.utt_id} {word.start_seconds:.3f} {word.end_seconds:.3f}" for name, (word, _) in kept.items()
        }
        recordings = {word.utt_id: wavs[word.utt_id] for word, _ in kept.values()}
        labels = {name: label for name, (_, label) in kept.items()}
        write_set(data / "ks" / part, recordings, {"labels": labels}, segments=segments)


def main() -> None:
    """Entry point."""
    arguments = make_parser().parse_args()
    phones(arguments.dumpdir, arguments.data, arguments.pr_utterances)
    speakers(arguments.dumpdir, arguments.data)
    keywords(arguments.mboshi_root, arguments.dumpdir, arguments.data)
    for task in ("pr", "sid", "ks"):
        (arguments.data / task / CARD).write_text(json.dumps({"corpus": "Mboshi", "official": False}) + "\n")


if __name__ == "__main__":
    run_main(main)
