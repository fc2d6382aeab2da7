"""A data directory and a choice -> a smaller data directory with all tables filtered alike."""

import os
import subprocess
import sys

import tables

PROGRAM = "subset_data_dir.sh"
USAGE = """usage: subset_data_dir.sh [--speakers|--shortest|--first|--last|--per-spk] <srcdir> <num-utt> <destdir>
       subset_data_dir.sh --spk-list <speaker-list-file> <srcdir> <destdir>
       subset_data_dir.sh --utt-list <utterance-list-file> <srcdir> <destdir>
By default, takes <num-utt> utterances spread evenly over the directory.
--speakers  takes randomly chosen speakers until there are <num-utt> utterances
--per-spk   takes <num-utt> utterances of each speaker, if available
--first, --last, --shortest   take the first, the last, the shortest <num-utt> utterances
--spk-list, --utt-list        keep the speakers or utterances that a file lists"""
CHOICES = ("--speakers", "--per-spk", "--shortest", "--first", "--last")
LISTS = ("--spk-list", "--utt-list")
UTILS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def per_speaker(speaker_line: bytes, count: int) -> list[bytes]:
    """At most count utterances of a spk2utt line, spread by the largest step that yields them all (as Kaldi)."""
    spoken = speaker_line.split()[1:]
    step = max(1, len(spoken) // count)
    return spoken[: count * step : step]


def random_speakers(speaker_lines: tables.Lines, count: int) -> set[bytes]:
    """Utterances of speakers in the fixed random order of shuffle_list.pl, until there are count."""
    shuffled = subprocess.run(
        [os.path.join(UTILS, "shuffle_list.pl")], input=b"".join(speaker_lines), stdout=subprocess.PIPE, check=True
    ).stdout.splitlines()
    chosen: set[bytes] = set()
    for line in shuffled:
        if len(chosen) >= count:
            break
        chosen.update(line.split()[1:])
    return chosen


def shortest(source: tables.Directory, count: int) -> set[bytes]:
    """The count utterances with the smallest value in the first length table that exists."""
    for name in ("utt2num_frames", "utt2num_samples", "utt2dur"):
        if source.has(name):
            break
    else:
        subprocess.run([os.path.join(UTILS, "data", "get_utt2dur.sh"), source.path], check=True)
    lengths = tables.second_fields(source, name)
    return set(sorted(lengths, key=lambda utterance: float(lengths[utterance]))[:count])


def spread(source: tables.Directory, count: int, option: str) -> tables.Lines:
    """utt2spk lines chosen by subset_scp.pl."""
    command = [os.path.join(UTILS, "subset_scp.pl"), *option.split(), str(count), source.file("utt2spk")]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines(keepends=True)


def speaker_lines_of(source: tables.Directory, utt2spk: tables.Lines) -> tables.Lines:
    return source.read("spk2utt") if source.has("spk2utt") else tables.spk2utt(utt2spk)


def select_by_list(source: tables.Directory, utt2spk: tables.Lines, option: str, path: str) -> tables.Lines:
    """utt2spk lines of the listed speakers or utterances."""
    with open(path, "rb") as stream:
        listed = {line.split(None, 1)[0] for line in stream if not line.isspace()}
    field = 1 if option == "--spk-list" else 0
    return [line for line in utt2spk if line.split()[field] in listed]


def select(source: tables.Directory, utt2spk: tables.Lines, option: str, count: int) -> tables.Lines:
    """utt2spk lines of count utterances, chosen as the option says."""
    if count > len(utt2spk):
        tables.fail(PROGRAM, f"{source.path} has {len(utt2spk)} utterances, {count} were asked for")
    if option == "--speakers":
        return tables.keep(utt2spk, random_speakers(speaker_lines_of(source, utt2spk), count))
    if option == "--per-spk":
        speaker_lines = speaker_lines_of(source, utt2spk)
        return tables.keep(utt2spk, {key for line in speaker_lines for key in per_speaker(line, count)})
    if option == "--shortest":
        return tables.keep(utt2spk, shortest(source, count))
    return spread(source, count, option)


def main(arguments: list[str]) -> None:
    option = arguments.pop(0) if arguments and arguments[0] in CHOICES + LISTS else ""
    if len(arguments) != 3 or arguments[0].startswith("-"):
        print(USAGE, file=sys.stderr)
        sys.exit(1)
    if option in LISTS:
        listed, source_path, target_path = arguments
    else:
        source_path, number, target_path = arguments
        if not number.isdigit() or number.strip("0") == "":
            tables.fail(PROGRAM, f"the number of utterances must be a positive integer, got '{number}'")
    source = tables.Directory(source_path, PROGRAM)
    source.require("utt2spk")
    if os.path.realpath(source_path) == os.path.realpath(target_path):
        tables.fail(PROGRAM, f"<srcdir> and <destdir> are the same directory {source_path}")
    utt2spk = source.read("utt2spk")
    tables.second_fields(source, "utt2spk")
    if option in LISTS:
        chosen = select_by_list(source, utt2spk, option, listed)
    else:
        chosen = select(source, utt2spk, option, int(number))
    if not chosen:
        tables.fail(PROGRAM, f"no utterance of {source_path} was selected: nothing written")
    tables.write_subset(source, tables.Directory(target_path, PROGRAM), chosen)
    tables.say(PROGRAM, f"reducing #utt from {len(utt2spk)} to {len(chosen)}")
