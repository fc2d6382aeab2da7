"""VoxPopuli's raw recordings and its list of segments in, the tables of train and dev out; or its cut files in.

A recording is one session in one language, "20200615-0900-PLENARY_de", with many speakers whom nobody named: the
recording stands for the speaker. dev are whole sessions, in all their languages.
"""

import argparse
import csv
import gzip
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from espnet2.data_prep.scan import require_root, scan_audio
from espnet2.data_prep.split import hold_out
from espnet2.data_prep.tables import Utterance, write_data_dir
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write
from espnet2.utils.progress import Progress

WHAT = "VoxPopuli (--voxpopuli_root)"
SEGMENTS = "unlabelled_data/unlabelled_v2.tsv.gz"  # event_id, segment_no, start, end; of all languages and years
COLUMNS = ["event_id", "segment_no", "start", "end"]
FIRST_DAY_10K, LAST_DAY_10K = "20190101", "20200731"
CUT_SECONDS = 30.0  # taken for the length of a cut file: they have 15 to 30 s (Wang et al., 2021)
NUM_NAMED = 5  # offenders an error names


def session_of(event: str) -> str:
    """The session of a recording: its name without the language."""
    return event.rsplit("_", 1)[0]


def in_subset(event: str, subset: str) -> bool:
    """Whether a recording belongs to 10k, 100k or 400k."""
    if subset == "400k":
        return True
    return "PLENARY" in event and (subset == "100k" or FIRST_DAY_10K <= event[:8] <= LAST_DAY_10K)


def find_languages(folder: Path, languages: list[str]) -> list[str]:
    """The languages asked for, or all folders of two letters."""
    if languages:
        require_root(folder, languages, WHAT)
        return languages
    languages = sorted(path.name for path in folder.iterdir() if path.is_dir() and len(path.name) == 2)
    if not languages:
        raise UserError(f"{WHAT}: {folder} has no folder of a language; expected {folder}/<language>/<year>/*.ogg")
    return languages


def find_audio(folder: Path, languages: list[str], work: Path, num_jobs: int) -> Iterator[tuple[str, str]]:
    """Yield (name without suffix, path) of the Ogg files of the languages."""
    for language in languages:
        for name in scan_audio(folder / language, (".ogg",), num_jobs, work):
            yield os.path.splitext(os.path.basename(name))[0], f"{folder / language}/{name}"


def read_segments(path: Path) -> Iterator[list[str]]:
    """Yield (event, number, start, end) for each line of the list.

    Raises:
        UserError: it is damaged or has other columns.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream, delimiter="\t")
            header = next(rows, [])
            if not set(COLUMNS) <= set(header):
                raise UserError(f"{path}:1: expected the columns {' '.join(COLUMNS)}; got {' '.join(header)}")
            columns = [header.index(column) for column in COLUMNS]
            for row in rows:
                yield [row[column] for column in columns]
    except (EOFError, gzip.BadGzipFile, zlib.error, IndexError) as error:
        raise UserError(f"{path}: damaged ({error}); fetch it again") from None


def choose(root: Path, languages: list[str], subset: str, work: Path, share: float, num_jobs: int) -> dict[str, float]:
    """Write the segments that have audio to work/chosen.tsv; return the hours of each session.

    Raises:
        UserError: more than a share of the recordings in the list have no audio.
    """
    audio = dict(find_audio(root / "raw_audios", languages, work, num_jobs))  # 200,000 recordings at most
    events: set[str] = set()
    seconds: Counter[str] = Counter()
    progress = Progress(f"lines of {SEGMENTS}")
    with atomic_write(work / "chosen.tsv") as stream:
        for event, number, start, end in read_segments(root / SEGMENTS):
            progress.add()
            if event.rsplit("_", 1)[-1] not in languages or not in_subset(event, subset):
                continue
            events.add(event)
            if event in audio:
                seconds[session_of(event)] += float(end) - float(start)
                stream.write(f"{event}\t{number}\t{start}\t{end}\t{audio[event]}\n")
    missing = sorted(events - audio.keys())
    if len(missing) > share * len(events) or not events:
        raise UserError(
            f"{WHAT}: {root}/raw_audios: no audio for {len(missing)} of the {len(events)} recordings of {subset} in "
            f"{' '.join(languages)}: {' '.join(missing[:NUM_NAMED])}; expected <language>/<year>/<recording>.ogg. "
            "Fetch the rest, take fewer --languages or another --subset, or raise --max_missing_share"
        )
    if missing:
        print(f"{len(missing)} of {len(events)} recordings have no audio: {' '.join(missing[:NUM_NAMED])}", flush=True)
    return {session: value / 3600 for session, value in seconds.items()}


def choose_cut(root: Path, languages: list[str], subset: str, work: Path, num_jobs: int) -> dict[str, float]:
    """As `choose`, for files <event>_<number>.ogg that were cut already; their lengths are not read."""
    files: Counter[str] = Counter()
    with atomic_write(work / "chosen.tsv") as stream:
        for name, path in find_audio(root / "unlabelled_data", languages, work, num_jobs):
            event, number = name.rsplit("_", 1)
            if in_subset(event, subset):
                files[session_of(event)] += 1
                stream.write(f"{event}\t{number}\t\t\t{path}\n")
    if not files:
        raise UserError(f"{WHAT}: {root}/unlabelled_data: no Ogg file of {subset} in {' '.join(languages)}")
    return {session: count * CUT_SECONDS / 3600 for session, count in files.items()}


def utterances(chosen: Path, sessions: set[str], keep: bool) -> Iterator[Utterance]:
    """The utterances of some sessions, or (keep false) of all others."""
    with open(chosen, encoding="utf-8") as stream:
        for line in stream:
            event, number, start, end, path = line[:-1].split("\t")
            if (session_of(event) in sessions) is not keep:
                continue
            name, language = f"{event}-{number}", event.rsplit("_", 1)[-1]
            if start:
                yield Utterance(name, event, path, None, language, float(start), float(end), event)
            else:
                yield Utterance(name, event, path, None, language)


def main() -> None:
    """Choose segments and the sessions of dev, write both sets."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for the new sets")
    parser.add_argument("--work", type=Path, required=True, help="folder for what a later call need not read again")
    parser.add_argument("--subset", choices=("10k", "100k", "400k"), default="10k")
    parser.add_argument("--languages", default="", help="such as 'de fr'")
    parser.add_argument("--segmented", choices=("true", "false"), default="false")
    parser.add_argument("--dev_hours", type=float, default=5.0)
    parser.add_argument("--max_missing_share", type=float, default=0.01)
    parser.add_argument("--nj", type=int, default=1, help="folders to read at a time")
    args = parser.parse_args()
    root = Path(os.path.abspath(args.root))
    segmented = args.segmented == "true"
    require_root(root, ["unlabelled_data"] if segmented else ["raw_audios", SEGMENTS], WHAT)
    languages = find_languages(root / ("unlabelled_data" if segmented else "raw_audios"), args.languages.split())
    if segmented:
        hours = choose_cut(root, languages, args.subset, args.work, args.nj)
    else:
        hours = choose(root, languages, args.subset, args.work, args.max_missing_share, args.nj)
    dev = hold_out(hours, args.dev_hours)
    for dset, keep in (("train", False), ("dev", True)):
        summary = write_data_dir(args.output_dir / dset, utterances(args.work / "chosen.tsv", dev, keep))
        total = sum(value for session, value in hours.items() if (session in dev) is keep)
        print(
            f"{dset}: {summary.num_utterances} utterances, about {total:.1f} hours; {' '.join(languages)}", flush=True
        )


if __name__ == "__main__":
    run_main(main)
