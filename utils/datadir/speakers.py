"""The check that utt2spk and spk2utt of a data directory say the same."""

import re
import sys
from collections.abc import Iterator
from itertools import zip_longest

import streams
import tables
from checker import Checker


def check(checker: Checker, speaker_sort: bool) -> None:
    """utt2spk and spk2utt: format, both orders, and that they say the same."""
    for name in ("utt2spk", "spk2utt"):
        checker.require(name)
    checker.fields("utt2spk", r"\S+\s+\S+", "utterance speaker")
    if speaker_sort:
        before = (b"", b"")
        for number, line in checker.lines("utt2spk"):
            utterance, speaker = line.split()
            if (speaker, utterance) < before:
                message = "not in sorted order when sorted first by speaker: make speaker ids prefixes of utterance ids"
                checker.fault("utt2spk", number, f"{message} (or specify --no-spk-sort)")
            before = (speaker, utterance)
    check_both(checker)
    if checker.counts["spk2utt"] == 1:
        print(f"{checker.directory.program}: warning: {checker.directory.path} has one speaker only", file=sys.stderr)


def spoken(checker: Checker) -> Iterator[tuple[bytes, bytes, int]]:
    """Utterance, speaker and line of each word of spk2utt; a line may hold every utterance, so it is not split."""
    for number, line in checker.lines("spk2utt"):
        words = re.finditer(rb"\S+", line)
        speaker = next(words).group()
        for word in words:
            yield word.group(), speaker, number


def check_both(checker: Checker) -> None:
    """spk2utt and utt2spk give every utterance to the same speaker. As a rule they name them in the same order."""
    given = (tuple(line.split()) for _, line in checker.lines("utt2spk"))
    if all(mine is not None and mine[:2] == other for mine, other in zip_longest(spoken(checker), given)):
        return
    words = (
        b"%s %s %d %d\n" % (utterance, speaker, number, rank)
        for rank, (utterance, speaker, number) in enumerate(spoken(checker))
    )
    by_utterance = checker.sorter.sort(words, "-t", " ", "-k", "1,1", "-s")
    given = (tuple(line.split()) for _, line in checker.lines("utt2spk"))
    utterance, owner = next(given, (None, None))
    first = None  # the wrong word that stands first in spk2utt
    seen = 0
    for line in streams.lines(by_utterance):
        word, speaker, number, rank = line.split()
        seen += 1
        while utterance is not None and utterance < word:
            utterance, owner = next(given, (None, None))
        if (word, speaker) != (utterance, owner) and (first is None or int(rank) < first[0]):
            first = (int(rank), int(number), word, speaker)
    if first:
        _, number, word, speaker = first
        message = f"utt2spk does not give '{tables.shown(word)}' to speaker '{tables.shown(speaker)}'"
        checker.fault("spk2utt", number, f"{message}; {checker.fixable()}")
    if seen != checker.counts["utt2spk"]:
        counts = f"it has {seen} utterances, utt2spk has {checker.counts['utt2spk']}"
        tables.fail(checker.directory.program, f"{checker.directory.file('spk2utt')}: {counts}; {checker.fixable()}")
