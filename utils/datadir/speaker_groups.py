"""A data directory and limits -> a copy whose speakers are cut into several, each with little speech."""

import os
import subprocess

import tables

PROGRAM = "modify_speaker_info.sh"
UTILS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def grouped(utterances: list[bytes], most: int, most_seconds: float, seconds: dict[bytes, bytes]) -> list[list[bytes]]:
    """Consecutive groups of at most `most` utterances and `most_seconds`; one that is longer alone stands alone."""
    groups: list[list[bytes]] = []
    total = 0.0
    for utterance in utterances:
        length = float(seconds[utterance]) if most_seconds > 0 else 0.0
        full = groups and most > 0 and len(groups[-1]) == most
        if not groups or full or (most_seconds > 0 and total + length > most_seconds):
            groups.append([])
            total = 0.0
        groups[-1].append(utterance)
        total += length
    return groups


def new_names(speaker: bytes, count: int) -> list[bytes]:
    """speaker-1, speaker-2, ... with zeros in front, so that they sort as they count."""
    return [b"%s-%0*d" % (speaker, len(str(count)), number) for number in range(1, count + 1)]


def regrouped(source: tables.Directory, respect_speakers: bool, most: int, most_seconds: float) -> tables.Lines:
    """The utt2spk lines with the new speakers."""
    pairs = tables.second_fields(source, "utt2spk")
    seconds = tables.second_fields(source, "utt2dur") if most_seconds > 0 else {}
    unknown = next((name for name in pairs if most_seconds > 0 and name not in seconds), None)
    if unknown is not None:
        tables.fail(PROGRAM, f"{source.file('utt2dur')} has no length of '{tables.shown(unknown)}'")
    spoken: dict[bytes, list[bytes]] = {}
    if respect_speakers:
        for utterance, speaker in pairs.items():
            spoken.setdefault(speaker, []).append(utterance)
    else:
        spoken[b"speaker"] = sorted(pairs)
    lines = []
    for speaker in sorted(spoken):
        groups = grouped(spoken[speaker], most, most_seconds, seconds)
        for name, group in zip(new_names(speaker, len(groups)), groups, strict=True):
            lines += [utterance + b" " + name + b"\n" for utterance in group]
    return lines


def main(arguments: list[str]) -> None:
    """<srcdir> <destdir> <utts-per-spk-max> <seconds-per-spk-max> <respect-speaker-info: true|false>"""
    source_path, target_path, most, most_seconds, respect = arguments
    source, target = tables.Directory(source_path, PROGRAM), tables.Directory(target_path, PROGRAM)
    source.require("utt2spk")
    if os.path.realpath(source_path) == os.path.realpath(target_path):
        tables.fail(PROGRAM, f"<srcdir> and <destdir> are the same directory {source_path}")
    try:
        limits = int(most), float(most_seconds)
    except ValueError:
        tables.fail(PROGRAM, f"the limits must be numbers, got '{most}' and '{most_seconds}'")
    if max(limits) <= 0:
        tables.fail(PROGRAM, "one of --utts-per-spk-max and --seconds-per-spk-max is required, above 0")
    if limits[1] > 0:
        subprocess.run([os.path.join(UTILS, "data", "get_utt2dur.sh"), source_path], check=True)
    utt2spk = regrouped(source, respect == "true", *limits)
    target.set_aside_all_but(source, without=tables.BY_SPEAKER)
    tables.copy_tables(source, target, (*tables.BY_UTTERANCE, *tables.BY_RECORDING, *tables.WITHOUT_KEY))
    target.write("utt2spk", utt2spk)
    target.write("spk2utt", tables.spk2utt(utt2spk))
    before, after = (len({line.split()[1] for line in lines}) for lines in (source.read("utt2spk"), utt2spk))
    tables.say(PROGRAM, f"copied {source_path} to {target_path}, number of speakers changed from {before} to {after}")
