"""A data directory and a factor -> a data directory whose wav.scp plays everything that much faster."""

import os
import subprocess
import sys

import audio_source
import copy_dir
import tables

PROGRAM = "perturb_data_dir_speed.sh"
UTILS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHORTEST_SEGMENT_SECONDS = 0.01  # Kaldi drops segments that become shorter
# Lengths in frames or samples, and features, belong to the old speed.
NOT_COPIED = ("feats.scp", "vad.scp", "cmvn.scp", "utt2num_frames", "utt2num_samples")


def faster_wav(lines: tables.Lines, factor: str) -> tables.Lines:
    """wav.scp lines with a sox pipe at the end that changes the speed."""
    faster = []
    for line in lines:
        name, entry = os.fsdecode(line).rstrip("\n").split(None, 1)
        start = audio_source.piped(entry)
        command = f"{start} sox -t wav -" if start else f"sox {audio_source.sox_input(entry.rstrip())}"
        faster.append(os.fsencode(f"{name} {command} -t wav - speed {factor} |\n"))
    return faster


def faster_segments(lines: tables.Lines, factor: float) -> tables.Lines:
    """segments with both times divided, to 10 ms as Kaldi writes them."""
    faster = []
    for line in lines:
        utterance, recording, begin, end = line.split()
        if tables.to_the_end(end):
            faster.append(b"%s %s %.2f -1\n" % (utterance, recording, float(begin) / factor))
            continue
        new_begin, new_end = float(begin) / factor, float(end) / factor
        if new_end > new_begin + SHORTEST_SEGMENT_SECONDS:
            faster.append(b"%s %s %.2f %.2f\n" % (utterance, recording, new_begin, new_end))
    return faster


def faster_seconds(lines: tables.Lines, factor: float) -> tables.Lines:
    """utt2dur or reco2dur with the seconds divided."""
    return [b"%s %.6g\n" % (name, float(seconds) / factor) for name, seconds in (line.split() for line in lines)]


def faster_labels(lines: tables.Lines, factor: float) -> tables.Lines:
    """phones.ctm with begin and duration divided, to 0.1 ms."""
    faster = []
    for line in lines:
        name, channel, begin, duration, rest = line.split(None, 4)
        times = b"%.4f %.4f" % (float(begin) / factor, float(duration) / factor)
        faster.append(b" ".join((name, channel, times, rest)))
    return faster


def ensure_durations(source: tables.Directory) -> None:
    """utt2dur and reco2dur of the source, made where they are missing, as Kaldi does; a warning where that fails."""
    for name, script in (("utt2dur", "get_utt2dur.sh"), ("reco2dur", "get_reco2dur.sh")):
        if not source.has(name):
            command = [os.path.join(UTILS, "data", script), source.path]
            if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
                reason = f"{script} cannot read the audio of {source.path}"
                print(f"{PROGRAM}: warning: no {name}: {reason}", file=sys.stderr)


def perturb(source: tables.Directory, target: tables.Directory, factor: str, with_speakers: bool) -> None:
    """Write the perturbed directory; without new speakers the ids get a suffix, so that they stay sorted by speaker."""
    number = float(factor)
    affixes = (f"sp{factor}-", "") if with_speakers else ("", f"-sp{factor}")
    utterance = recording = copy_dir.renamer(*affixes)
    speaker = copy_dir.renamer(affixes[0], "")
    utt2spk = copy_dir.renamed_utt2spk(source, utterance, speaker)
    new: dict[str, tables.Lines] = {"utt2uniq": copy_dir.unique_ids(source, utterance)}
    kinds = ((tables.BY_UTTERANCE, utterance), (tables.BY_SPEAKER, speaker), (tables.BY_RECORDING, recording))
    for names, rename in kinds:
        for name in names:
            if source.has(name) and name not in NOT_COPIED and name not in new:
                new[name] = copy_dir.renamed_table(source.read(name), rename)
    if "wav.scp" in new:
        new["wav.scp"] = faster_wav(new["wav.scp"], factor)
    if "segments" in new:
        renamed = tables.rename_keys(new["segments"], recording, field=1)
        new["segments"] = faster_segments(renamed, number)
        kept = set(tables.keys(new["segments"]))
        utt2spk = tables.keep(utt2spk, kept)
    for name in ("utt2dur", "reco2dur"):
        if name in new:
            new[name] = faster_seconds(new[name], number)
    if "phones.ctm" in new:
        new["phones.ctm"] = faster_labels(new["phones.ctm"], number)
    target.write("utt2spk", utt2spk)
    target.write("spk2utt", tables.spk2utt(utt2spk))
    utterances = set(tables.keys(utt2spk))
    for name, lines in new.items():
        target.write(name, tables.keep(lines, utterances) if name in tables.BY_UTTERANCE else lines)


def main(arguments: list[str]) -> None:
    """<factor> <srcdir> <destdir> <include-spk-prefix: true|false>"""
    factor, source_path, target_path, include_speaker_prefix = arguments
    try:
        valid = 0.1 <= float(factor) <= 10
    except ValueError:
        valid = False
    if not valid:
        tables.fail(PROGRAM, f"the factor must be a number such as 0.9, got '{factor}'")
    source, target = tables.Directory(source_path, PROGRAM), tables.Directory(target_path, PROGRAM)
    source.require("utt2spk")
    if os.path.realpath(source_path) == os.path.realpath(target_path):
        tables.fail(PROGRAM, f"<srcdir> and <destdir> are the same directory {source_path}")
    ensure_durations(source)
    perturb(source, target, factor, include_speaker_prefix == "true")
    tables.say(PROGRAM, f"generated speed-perturbed version of data in {source_path}, in {target_path}")
