"""A data directory -> a copy whose utterance and speaker ids have a prefix or suffix. Recording ids stay."""

import os
from collections.abc import Callable

import tables

PROGRAM = "copy_data_dir.sh"
Rename = Callable[[bytes], bytes]


def renamer(prefix: str, suffix: str) -> Rename:
    """A function that puts prefix and suffix around an id."""
    before, after = os.fsencode(prefix), os.fsencode(suffix)
    return lambda name: before + name + after


def renamed_utt2spk(source: tables.Directory, utterance: Rename, speaker: Rename) -> tables.Lines:
    """The utt2spk lines with new ids, sorted again: a suffix may change the order."""
    pairs = tables.second_fields(source, "utt2spk")
    lines = [utterance(old) + b" " + speaker(who) + b"\n" for old, who in pairs.items()]
    return tables.sort_by_key(lines) if list(pairs) == sorted(pairs) else lines


def renamed_table(lines: tables.Lines, rename: Rename) -> tables.Lines:
    """Lines with new keys, sorted again if they were sorted before."""
    keys = tables.keys(lines)
    renamed = tables.rename_keys(lines, rename)
    return tables.sort_by_key(renamed) if keys == sorted(keys) else renamed


def unique_ids(source: tables.Directory, utterance: Rename) -> tables.Lines:
    """utt2uniq: new id -> the id of the original recording, so that copies are never counted as new speech."""
    if source.has("utt2uniq"):
        return renamed_table(source.read("utt2uniq"), utterance)
    originals = tables.keys(source.read("utt2spk"))
    return tables.sort_by_key([utterance(name) + b" " + name + b"\n" for name in originals])


def write_copy(source: tables.Directory, target: tables.Directory, utterance: Rename, speaker: Rename) -> None:
    """Copy every known table with the keys renamed."""
    utt2spk = renamed_utt2spk(source, utterance, speaker)
    target.write("utt2spk", utt2spk)
    target.write("spk2utt", tables.spk2utt(utt2spk))
    by_recording = utterance if not source.has("segments") else (lambda name: name)
    kinds = ((tables.BY_UTTERANCE, utterance), (tables.BY_SPEAKER, speaker), (tables.BY_RECORDING, by_recording))
    for names, rename in kinds:
        for name in names:
            if source.has(name) and name != "utt2uniq":
                target.write(name, renamed_table(source.read_from_here(name), rename))
    if source.has("utt2uniq"):
        target.write("utt2uniq", unique_ids(source, utterance))
    for name in tables.WITHOUT_KEY:
        if source.has(name):
            with open(source.file(name), "rb") as stream:
                target.write(name, stream.readlines())


def set_older_aside(source: tables.Directory, target: tables.Directory) -> None:
    """Tables that an older copy left in the target move to .backup, as they belong to other utterances."""
    for name in (*tables.BY_UTTERANCE, *tables.BY_SPEAKER, *tables.BY_RECORDING, *tables.WITHOUT_KEY):
        made_here = name == "utt2uniq" and tables.key(target.read("utt2spk")[0]) != tables.key(
            source.read("utt2spk")[0]
        )
        if not source.has(name) and not made_here:
            target.set_aside(name, PROGRAM)


def main(arguments: list[str]) -> None:
    """<srcdir> <destdir> <utt-prefix> <utt-suffix> <spk-prefix> <spk-suffix>"""
    source_path, target_path, utt_prefix, utt_suffix, spk_prefix, spk_suffix = arguments
    source, target = tables.Directory(source_path, PROGRAM), tables.Directory(target_path, PROGRAM)
    source.require("utt2spk")
    if os.path.realpath(source_path) == os.path.realpath(target_path):
        tables.fail(PROGRAM, f"<srcdir> and <destdir> are the same directory {source_path}")
    write_copy(source, target, renamer(utt_prefix, utt_suffix), renamer(spk_prefix, spk_suffix))
    set_older_aside(source, target)
    tables.say(PROGRAM, f"copied data from {source_path} to {target_path}")
