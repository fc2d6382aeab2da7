"""A data directory -> N data directories split<N>/1..N; by default no speaker is in two of them."""

import os
import subprocess
import sys

import tables

PROGRAM = "split_data.sh"
USAGE = """usage: split_data.sh [--per-utt] <data-dir> <num-to-split>
Writes <data-dir>/split<N>/{1..N}, each speaker in one of them only; with --per-utt <data-dir>/split<N>utt/{1..N},
whatever the speakers. Nothing is done where these are newer than the directory."""
UTILS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def up_to_date(source: tables.Directory, part: tables.Directory) -> bool:
    """True where the part has every table of the source, not older."""
    names = ("utt2spk", "spk2utt", *tables.BY_UTTERANCE, *tables.BY_SPEAKER, *tables.BY_RECORDING)
    for name in names:
        if not source.has(name):
            continue
        if not part.has(name) or os.path.getmtime(part.file(name)) < os.path.getmtime(source.file(name)):
            return False
    return os.path.isdir(part.path)


def split_utterances(source: tables.Directory, count: int, per_utterance: bool) -> list[tables.Lines]:
    """The utt2spk lines of each part, as split_scp.pl cuts them."""
    option = [] if per_utterance else [f"--utt2spk={source.file('utt2spk')}"]
    outputs = [source.file(f".split.{os.getpid()}.{index}") for index in range(count)]
    command = [os.path.join(UTILS, "split_scp.pl"), *option, source.file("utt2spk"), *outputs]
    try:
        subprocess.run(command, check=True)
        parts = []
        for output in outputs:
            with open(output, "rb") as stream:
                parts.append(stream.readlines())
        return parts
    finally:
        for output in outputs:
            if os.path.exists(output):
                os.unlink(output)


def parts_of(lines: tables.Lines, part_of: dict[bytes, list[int]], count: int) -> list[tables.Lines]:
    """Deal lines out to the parts that want their key."""
    parts: list[tables.Lines] = [[] for _ in range(count)]
    for line in lines:
        for index in part_of.get(line.split(None, 1)[0], ()):
            parts[index].append(line)
    return parts


def invert(parts: list[set[bytes]]) -> dict[bytes, list[int]]:
    """key -> the parts that want it."""
    part_of: dict[bytes, list[int]] = {}
    for index, names in enumerate(parts):
        for name in names:
            part_of.setdefault(name, []).append(index)
    return part_of


def write_parts(source: tables.Directory, targets: list[tables.Directory], utt2spk: list[tables.Lines]) -> None:
    """Write all tables of all parts; each table of the source is read once."""
    count = len(targets)
    speaker_lines = [tables.spk2utt(lines) for lines in utt2spk]
    by_utterance = invert([set(tables.keys(lines)) for lines in utt2spk])
    by_speaker = invert([set(tables.keys(lines)) for lines in speaker_lines])
    by_recording = by_utterance
    content = {"utt2spk": utt2spk, "spk2utt": speaker_lines}
    if source.has("segments"):
        content["segments"] = parts_of(source.read("segments"), by_utterance, count)
        by_recording = invert([tables.recordings(lines) for lines in content["segments"]])
    kinds = ((tables.BY_UTTERANCE, by_utterance), (tables.BY_SPEAKER, by_speaker), (tables.BY_RECORDING, by_recording))
    for names, part_of in kinds:
        for name in names:
            if source.has(name) and name not in content:
                content[name] = parts_of(source.read(name), part_of, count)
    for name, parts in content.items():
        for target, lines in zip(targets, parts, strict=True):
            target.write(name, lines)


def main(arguments: list[str]) -> None:
    per_utterance = arguments[:1] == ["--per-utt"]
    arguments = arguments[per_utterance:]
    if len(arguments) != 2 or arguments[0].startswith("--"):
        print(USAGE, file=sys.stderr)
        sys.exit(1)
    path, number = arguments
    if not number.isdigit() or int(number) < 1:
        tables.fail(PROGRAM, f"the number of parts must be a positive integer, got '{number}'")
    source, count = tables.Directory(path, PROGRAM), int(number)
    source.require("utt2spk")
    folder = source.file(f"split{count}" + ("utt" if per_utterance else ""))
    targets = [tables.Directory(os.path.join(folder, str(index)), PROGRAM) for index in range(1, count + 1)]
    if all(up_to_date(source, target) for target in targets):
        return
    total = len(source.read("utt2spk"))
    for name in ("feats.scp", "text"):
        if source.has(name) and len(source.read(name)) != total:
            print(f"{PROGRAM}: warning: utt2spk has {total} lines, {name} {len(source.read(name))}; "
                  f"utils/fix_data_dir.sh {path} repairs this", file=sys.stderr)  # fmt: skip
    write_parts(source, targets, split_utterances(source, count, per_utterance))
