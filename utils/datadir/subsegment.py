"""A data directory and segments inside its utterances -> a data directory of these segments."""

import os

import tables

PROGRAM = "subsegment_data_dir.sh"


def read_lines(path: str) -> tables.Lines:
    """The lines of a file anywhere."""
    folder, name = os.path.split(path)
    directory = tables.Directory(folder or ".", PROGRAM)
    directory.require(name)
    return directory.read(name)


def number(value: float) -> bytes:
    """As awk prints it."""
    return b"%.6g" % value


def placed(parts: tables.Lines, source: tables.Directory, padding: float) -> tables.Lines:
    """The new segments, in times of the recordings where the utterances are segments themselves."""
    outer = {line.split()[0]: line.split() for line in source.read("segments")} if source.has("segments") else None
    lines = []
    for line in parts:
        utterance, inside, begin, end = line.split()
        if outer is None:
            recording, offset, first = inside, 0.0, begin
        else:
            _, recording, start, _ = outer[inside]
            offset = float(start)
            first = number(float(begin) + offset)
        lines.append(b" ".join((utterance, recording, first, number(float(end) + offset + padding))) + b"\n")
    return lines


def check(parts: tables.Lines, path: str, utt2spk: dict[bytes, bytes]) -> None:
    """Every line is "<new> <utterance> <begin> <end>" with a known utterance."""
    for number, line in enumerate(parts, 1):
        words = line.split()
        try:
            good = len(words) == 4 and float(words[3]) > float(words[2])
        except ValueError:
            good = False
        if not good:
            message = f"expected '<new utterance> <utterance> <begin> <end>', got '{tables.shown(line)}'"
            tables.fail(PROGRAM, f"{path}:{number}: {message}")
        if words[1] not in utt2spk:
            tables.fail(PROGRAM, f"{path}:{number}: utt2spk has no utterance '{tables.shown(words[1])}'")


def main(arguments: list[str]) -> None:
    """<srcdir> <subsegments> <text or ""> <destdir> <segment-end-padding>"""
    source_path, parts_path, text_path, target_path, padding = arguments
    source, target = tables.Directory(source_path, PROGRAM), tables.Directory(target_path, PROGRAM)
    source.require("utt2spk")
    if os.path.realpath(source_path) == os.path.realpath(target_path):
        tables.fail(PROGRAM, f"<srcdir> and <destdir> are the same directory {source_path}")
    parts = read_lines(parts_path)
    speakers = tables.second_fields(source, "utt2spk")
    check(parts, parts_path, speakers)
    old = {line.split()[0]: line.split()[1] for line in parts}
    text = read_lines(text_path) if text_path else []
    if text_path and tables.keys(text) != tables.keys(parts):
        tables.fail(PROGRAM, f"{parts_path} and {text_path} must have the same first fields in the same order")
    segments = placed(parts, source, float(padding))
    without = (*tables.BY_UTTERANCE, "cmvn.scp", "spk2warp")
    target.set_aside_all_but(source, without=without)
    tables.copy_tables(source, target, ("wav.scp", "reco2dur", "reco2file_and_channel", "spk2gender", "stm", "glm"))
    target.write("segments", segments)
    utt2spk = [utterance + b" " + speakers[inside] + b"\n" for utterance, inside in old.items()]
    target.write("utt2spk", utt2spk)
    target.write("spk2utt", tables.spk2utt(utt2spk))
    if text:
        target.write("text", text)
    for name in ("utt2uniq", "utt2lang"):
        if source.has(name):
            values = tables.second_fields(source, name)
            target.write(name, [key + b" " + values[inside] + b"\n" for key, inside in old.items() if inside in values])
    if source.has("feats.scp"):
        tables.say(PROGRAM, f"feats.scp is not cut: make the features of {target_path} anew")
    tables.say(PROGRAM, f"subsegmented data from {source_path} to {target_path}")
