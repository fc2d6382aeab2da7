"""A data directory with segments -> one without, whose utterances are the whole recordings."""

import os

import tables

PROGRAM = "convert_data_dir_to_whole.sh"


def ordered(source: tables.Directory) -> dict[bytes, list[bytes]]:
    """recording -> its utterances by begin, then by end."""
    spoken: dict[bytes, list[tuple[float, float, bytes]]] = {}
    for line in source.read("segments"):
        utterance, recording, begin, end = line.split()
        spoken.setdefault(recording, []).append((float(begin), float(end), utterance))
    return {recording: [utterance for _, _, utterance in sorted(parts)] for recording, parts in spoken.items()}


def main(arguments: list[str]) -> None:
    """<in-data> <out-data>; the input has segments."""
    source_path, target_path = arguments
    source, target = tables.Directory(source_path, PROGRAM), tables.Directory(target_path, PROGRAM)
    source.require("segments", "wav.scp")
    if os.path.realpath(source_path) == os.path.realpath(target_path):
        tables.fail(PROGRAM, f"<in-data> and <out-data> are the same directory {source_path}")
    recordings = ordered(source)
    names = sorted(recordings)
    target.set_aside_all_but(source, without=(*tables.BY_UTTERANCE, *tables.BY_SPEAKER))
    tables.copy_tables(source, target, ("wav.scp", "reco2dur", "reco2file_and_channel", "stm", "glm"))
    if source.has("text"):
        words = {tables.key(line): line.split(None, 1)[1:] for line in source.read("text")}
        spoken = {name: [words.get(utterance, []) for utterance in recordings[name]] for name in names}
        text = [b" ".join([name, *(part.strip() for rest in spoken[name] for part in rest)]) + b"\n" for name in names]
        target.write("text", text)
    utt2spk = [name + b" " + name + b"\n" for name in names]
    target.write("utt2spk", utt2spk)
    target.write("spk2utt", utt2spk)
