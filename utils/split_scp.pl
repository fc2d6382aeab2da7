#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""A table -> N parts of nearly equal size, in order; with --utt2spk no speaker is in two parts."""

import sys

import kaldi_lib

USAGE = """usage: split_scp.pl [--utt2spk=<utt2spk>] [--utt2dur=<utt2dur>] <in.scp> <out1.scp> <out2.scp> ...
   or: split_scp.pl -j <parts> <part> [--one-based] [--utt2spk=...] [--utt2dur=...] <in.scp> [<out.scp>]
where 0 <= part < parts (1 <= part <= parts with --one-based). --utt2spk keeps each speaker in one part; with
--utt2dur as well, parts are balanced by duration."""


def read_options(arguments):
    """-> options {"utt2spk", "utt2dur", "one_based", "parts", "part"}; they are removed from arguments."""
    options = {"utt2spk": "", "utt2dur": "", "one_based": False, "parts": 0, "part": 0}
    while arguments and arguments[0].startswith("-") and arguments[0] != "-":
        option = arguments.pop(0)
        if option == "-j" and len(arguments) > 1 and arguments[0].isdigit() and arguments[1].isdigit():
            options["parts"], options["part"] = int(arguments.pop(0)), int(arguments.pop(0))
        elif option == "--one-based":
            options["one_based"] = True
        elif option.startswith(("--utt2spk=", "--utt2dur=")):
            options[option[2:9]] = option[10:]
        else:
            kaldi_lib.fail(USAGE)
    options["part"] -= options["one_based"]
    if options["parts"] and not 0 <= options["part"] < options["parts"]:
        kaldi_lib.fail(f"-j: part {options['part'] + options['one_based']} of {options['parts']} does not exist")
    return options


def read_map(path):
    """utterance -> second field."""
    mapping = {}
    for location, line in kaldi_lib.numbered_lines([path]):
        words = line.split()
        if len(words) != 2:
            kaldi_lib.fail(f"{location}: expected two fields, got '{kaldi_lib.shown(line)}'")
        mapping[words[0]] = words[1]
    return mapping


def equal_parts(lines, count):
    """Consecutive parts whose sizes differ by one line at most, the larger ones first."""
    size, larger = divmod(len(lines), count)
    if size == 0:
        kaldi_lib.fail(f"cannot split {len(lines)} lines into {count} parts: reduce the number of jobs")
    parts, begin = [], 0
    for index in range(count):
        end = begin + size + (index < larger)
        parts.append(lines[begin:end])
        begin = end
    return parts


def lines_by_speaker(scp, options):
    """speaker (in order of appearance) -> its lines, and speaker -> weight (lines, or seconds with --utt2dur)."""
    utt2spk = read_map(options["utt2spk"])
    seconds = read_map(options["utt2dur"]) if options["utt2dur"] else None
    groups, weights = {}, {}
    for location, line in kaldi_lib.numbered_lines([scp]):
        words = line.split(None, 1)
        if not words or words[0] not in utt2spk:
            kaldi_lib.fail("{}: no utterance '{}' in {}".format(location, kaldi_lib.shown(line), options["utt2spk"]))
        speaker = utt2spk[words[0]]
        groups.setdefault(speaker, []).append(line)
        weight = 1 if seconds is None else float(seconds.get(words[0], 0))
        weights[speaker] = weights.get(speaker, 0) + weight
    return groups, weights


def balance(speakers, weights, count):
    """Parts (lists of speakers, in order): equal numbers of speakers first, then speakers at the borders move to
    the neighbouring part while that brings the two closer. Neighbours only ever get closer, so it ends."""
    parts = [[] for _ in range(count)]
    for index, speaker in enumerate(speakers):
        parts[index * count // len(speakers)].append(speaker)
    totals = [sum(weights[speaker] for speaker in part) for part in parts]

    def move(source, target):
        """Move the speaker at the border if that makes the difference of the two parts smaller."""
        if not 0 <= target < count or not parts[source]:
            return False
        speaker = parts[source][-1 if target > source else 0]
        weight = weights[speaker]
        if abs(totals[target] + weight - (totals[source] - weight)) >= abs(totals[target] - totals[source]):
            return False
        parts[source].remove(speaker)
        parts[target].insert(0 if target > source else len(parts[target]), speaker)
        totals[source] -= weight
        totals[target] += weight
        return True

    changed = True
    while changed:
        changed = False
        for index in range(count):
            changed = move(index, index + 1) or changed
            changed = move(index, index - 1) or changed
    return parts


def speaker_parts(scp, options, count):
    """The lines of each part where no speaker is in two parts."""
    groups, weights = lines_by_speaker(scp, options)
    if len(groups) < count:
        remedy = "reduce the number of jobs, or split by utterance"
        kaldi_lib.fail(f"{scp}: {len(groups)} speakers cannot be split into {count} parts: {remedy}")
    parts = balance(list(groups), weights, count)
    return [[line for speaker in part for line in groups[speaker]] for part in parts]


def main(arguments):
    options = read_options(arguments)
    count = options["parts"] or len(arguments) - 1
    if not arguments or count < 1 or (options["parts"] and len(arguments) > 2):
        kaldi_lib.fail(USAGE)
    scp, outputs = arguments[0], arguments[1:]
    if options["utt2spk"]:
        parts = speaker_parts(scp, options, count)
    else:
        parts = equal_parts([line for _, line in kaldi_lib.numbered_lines([scp])], count)
    if options["parts"]:
        parts, outputs = [parts[options["part"]]], outputs or ["-"]
    for part, output in zip(parts, outputs, strict=True):
        if output == "-":
            sys.stdout.buffer.writelines(part)
        else:
            with open(output, "wb") as stream:
                stream.writelines(part)
    if [] in parts:
        kaldi_lib.fail(f"empty part {outputs[parts.index([])]}: too many parts, too few speakers")


kaldi_lib.run(main)
