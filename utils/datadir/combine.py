"""Several data directories -> one that holds the lines of all of them, in C order."""

import os
import shutil
import subprocess

import tables

PROGRAM = "combine_data.sh"
UTILS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def unique_ids(source: tables.Directory) -> tables.Lines:
    """utt2uniq of a directory; without the file every utterance is its own original."""
    if source.has("utt2uniq"):
        return source.read("utt2uniq")
    return [name + b" " + name + b"\n" for name in tables.keys(source.read("utt2spk"))]


def whole_segments(source: tables.Directory) -> tables.Lines:
    """Segments of a directory; without the file each utterance is one segment from 0 to its duration."""
    if source.has("segments"):
        return source.read("segments")
    if not source.has("utt2dur"):
        tables.say(PROGRAM, f"working out segments of {source.path} from the durations of its utterances")
        subprocess.run([os.path.join(UTILS, "data", "get_utt2dur.sh"), source.path], check=True)
    seconds = tables.second_fields(source, "utt2dur")
    return [name + b" " + name + b" 0 " + length + b"\n" for name, length in seconds.items()]


def merged(sources: list[tables.Directory], name: str) -> tables.Lines | None:
    """The sorted lines of one table, or None (said, if some have it) where it is not everywhere."""
    have = [source for source in sources if source.has(name)]
    if not have:
        return None
    if len(have) < len(sources):
        missing = next(source.path for source in sources if not source.has(name))
        tables.say(PROGRAM, f"**not combining {name} as it does not exist everywhere** (not in {missing})")
        return None
    lines = [line for source in sources for line in source.read_from_here(name)]
    return tables.sort_by_key(lines) if name in tables.MANY_LINES_PER_KEY else sorted(lines)


def common_frame_shift(sources: list[tables.Directory]) -> bytes | None:
    """The content of frame_shift where features are combined; it is the same everywhere."""
    first = None
    for source in sources:
        if source.has("feats.scp") and source.has("frame_shift"):
            with open(source.file("frame_shift"), "rb") as stream:
                content = stream.read()
            if first is not None and content != first[1]:
                places = f"{first[0].file('frame_shift')} and {source.file('frame_shift')}"
                tables.fail(PROGRAM, f"{places} differ: these features cannot be in one directory")
            first = first or (source, content)
    return first[1] if first else None


def combine(sources: list[tables.Directory], target: tables.Directory, extra: list[str]) -> None:
    """Write the merged tables into an empty directory."""
    shift = common_frame_shift(sources)
    with_segments = any(source.has("segments") for source in sources)
    with_originals = any(source.has("utt2uniq") for source in sources)
    names = ["utt2spk", *tables.BY_UTTERANCE, *tables.BY_SPEAKER, *tables.BY_RECORDING, "ctm", *extra]
    for name in dict.fromkeys(names):
        if name == "utt2uniq" and with_originals:
            lines = sorted(line for source in sources for line in unique_ids(source))
        elif name == "segments" and with_segments:
            lines = sorted(line for source in sources for line in whole_segments(source))
        else:
            lines = merged(sources, name)
        if lines is not None:
            target.write(name, lines)
            tables.say(PROGRAM, f"combined {name}")
    target.write("spk2utt", tables.spk2utt(target.read("utt2spk")))
    if shift is not None:
        target.write("frame_shift", [shift])


def main(arguments: list[str]) -> None:
    """<extra files> <destdir> <srcdir>...; <extra files> is a list separated by spaces."""
    extra, target_path, *source_paths = arguments
    sources = [tables.Directory(path, PROGRAM) for path in source_paths]
    for source in sources:
        source.require("utt2spk")
        tables.second_fields(source, "utt2spk")
    target_path = target_path.rstrip("/")
    # Made beside and renamed: the target may be one of the sources, and a failure must not cost what was there.
    beside = tables.Directory(f"{target_path}.{os.getpid()}", PROGRAM)
    try:
        combine(sources, beside, extra.split())
        if os.path.isdir(target_path):
            shutil.rmtree(target_path)
        os.rename(beside.path, target_path)
    finally:
        shutil.rmtree(beside.path, ignore_errors=True)
