"""dump/ of ../ssl1 in, data/{sid,pr,qbe} out: the tasks of SUPERB that debian_voices can carry."""

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from espnet2.data_prep.superb.base import CARD, write_set
from espnet2.text.phoneme_tokenizer import PhonemeTokenizer
from espnet2.utils.errors import run_main
from espnet2.utils.files import hash_bytes
from espnet2.utils.kaldi_table import read_table

SPEAKER_CLIPS = {"train": 120, "dev": 20, "test": 30}  # of every speaker; who has fewer to learn from is left out
DEV_SHARE = 10  # one sentence of train in ten chooses the checkpoint
# Languages of which espeak-ng knows the phones and people read several hundred descriptions.
LANGUAGES = {"es": "spanish", "fr": "french", "ru": "russian", "el": "greek"}
STRESS_AND_BREAKS = frozenset("ˈˌ|,.;:!?")
FLAG = "("  # espeak-ng's (en) before words of another language: whose phones these are nobody knows
SHORTEST_QUERY_SECONDS = 0.4
QUERIES = 100  # of dev, and of test
OTHER_DOCUMENTS = 800  # that no query needs to be in
SAMPLE_RATE = 16_000


class Clip(NamedTuple):
    """One recording."""

    name: str
    speaker: str
    language: str
    wav: str
    seconds: float
    words: tuple[str, ...]  # (): no transcript
    text: str


def read_clips(dumpdir: Path, dump_set: str) -> list[Clip]:
    """All of train or dev."""
    folder, base = dumpdir / dump_set, dumpdir.resolve().parent
    tables = {name: read_table(folder / name) for name in ("utt2spk", "utt2lang", "utt2num_samples", "transcript")}
    return [
        Clip(
            name,
            tables["utt2spk"][name],
            tables["utt2lang"][name],
            str(base / wav),
            int(tables["utt2num_samples"][name]) / SAMPLE_RATE,
            tuple(re.findall(r"\w+", tables["transcript"].get(name, "").casefold())),
            tables["transcript"].get(name, ""),
        )
        for name, wav in read_table(folder / "wav.scp").items()
    ]


def by_hash(clips: Iterable[Clip], count: int) -> list[Clip]:
    """A sample that does not depend on order."""
    return sorted(clips, key=lambda clip: hash_bytes(clip.name))[:count]


def is_dev(clip: Clip) -> bool:
    """Of train: by what is said, so that a repeated sentence is in one set only."""
    return int(hash_bytes(clip.language, *(clip.words or (clip.name,)))[:8], 16) % DEV_SHARE == 0


def write(data: Path, task: str, part: str, clips: Iterable[Clip], table: str, value: Callable[[Clip], str]) -> None:
    """One set."""
    chosen = list(clips)
    values = {clip.name: value(clip) for clip in chosen}
    write_set(data / task / part, {clip.name: clip.wav for clip in chosen}, {table: values})


def speakers(data: Path, sets: dict[str, list[Clip]]) -> None:
    """SID: everybody who has enough clips, on sentences that training does not have."""
    counts: dict[str, int] = defaultdict(int)
    for clip in sets["train"]:
        counts[clip.speaker] += 1
    known = sorted(speaker for speaker, count in counts.items() if count >= SPEAKER_CLIPS["train"])
    for part, most in SPEAKER_CLIPS.items():
        chosen = [
            clip
            for speaker in known
            for clip in by_hash((clip for clip in sets[part] if clip.speaker == speaker), most)
        ]
        write(data, "sid", part, chosen, "utt2spk", lambda clip: clip.speaker)


def phones(data: Path, sets: dict[str, list[Clip]]) -> None:
    """PR: what espeak-ng makes of the descriptions; nobody has checked that people say just that."""
    tokenizers = {code: PhonemeTokenizer(f"espeak_ng_{name}") for code, name in LANGUAGES.items()}

    def spoken(clip: Clip) -> str:
        said = " ".join(re.findall(r"[\w']+", clip.text))
        return " ".join(phone for phone in tokenizers[clip.language].g2p(said) if phone not in STRESS_AND_BREAKS)

    texts = {
        clip.name: spoken(clip)
        for clips in sets.values()
        for clip in clips
        if clip.language in LANGUAGES and clip.words
    }
    kept = {name for name, text in texts.items() if text and FLAG not in text}
    for part, clips in sets.items():
        write(data, "pr", part, (clip for clip in clips if clip.name in kept), "text", lambda clip: texts[clip.name])


def holds(words: tuple[str, ...], query: tuple[str, ...]) -> bool:
    """Whether words stand in a sentence, one behind the other."""
    return any(words[start : start + len(query)] == query for start in range(len(words) - len(query) + 1))


def queries(data: Path, clips: list[Clip]) -> None:
    """QbE: a whole description is the query, longer ones of its language that hold it are to be found among all."""
    matches: dict[str, list[str]] = {}
    by_name = {clip.name: clip for clip in clips if clip.words}
    for query in by_name.values():
        if query.seconds >= SHORTEST_QUERY_SECONDS:
            others = (clip for clip in by_name.values() if clip.language == query.language)
            longer = [clip.name for clip in others if clip.words != query.words and holds(clip.words, query.words)]
            if longer:
                matches[query.name] = longer
    chosen = by_hash((by_name[name] for name in matches), 2 * QUERIES)
    needed = {name for query in chosen for name in matches[query.name]}
    rest = [clip for clip in by_name.values() if clip not in chosen and clip.name not in needed]
    documents = [*(by_name[name] for name in sorted(needed)), *by_hash(rest, OTHER_DOCUMENTS)]
    write_set(data / "qbe" / "docs", {clip.name: clip.wav for clip in documents}, {})
    write(data, "qbe", "dev", chosen[:QUERIES], "matches", lambda clip: " ".join(matches[clip.name]))
    write(data, "qbe", "test", chosen[QUERIES:], "matches", lambda clip: " ".join(matches[clip.name]))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dumpdir", type=Path, required=True, help="dump/ of ../ssl1, after stage 4")
    parser.add_argument("data", type=Path, help="gets <task>/...")
    arguments = parser.parse_args()
    of_train, test = (read_clips(arguments.dumpdir, dump_set) for dump_set in ("train", "dev"))
    sets = {
        "train": [clip for clip in of_train if not is_dev(clip)],
        "dev": [clip for clip in of_train if is_dev(clip)],
        "test": test,
    }
    speakers(arguments.data, sets)
    phones(arguments.data, sets)
    queries(arguments.data, [*of_train, *test])
    for task in ("sid", "pr", "qbe"):
        (arguments.data / task / CARD).write_text(json.dumps({"corpus": "debian_voices", "official": False}) + "\n")


if __name__ == "__main__":
    run_main(main)
