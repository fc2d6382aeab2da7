#!/usr/bin/env python3
"""What recipes say in (standard input), one line for each stage and a bar out; a log keeps all of it.

Usage: ./run.sh 2>&1 | utils/show_progress.py --log exp/run.log
Errors and warnings are shown as they come. The bar is drawn on a terminal only.
"""

import argparse
import os
import re
import select
import shutil
import sys
import time

STAGE = re.compile(r"(?:^|\s)(?:stage )(\d+): (.+)")
SKIPPED = ("skipped", "finished before")
SHARE = re.compile(r"(?:\bupdate (\d+)/(\d+)\b)|(?:\b(\d+) of (\d+) (?:speakers|utterances)\b)")
SHOWN = re.compile(r"(^|\s)(error|warning): ", re.IGNORECASE)
BAR_CHARACTERS = 24
REDRAW_SECONDS = 1.0


class Progress:
    """The stage at work, and what is shown of it."""

    def __init__(self, stream, is_terminal, clock=time.monotonic):
        self.stream, self.is_terminal, self.clock = stream, is_terminal, clock
        self.title = ""
        self.share = 0.0
        self.start = clock()

    def take(self, line):
        """One line of the recipes."""
        stage = STAGE.search(line)
        if stage:
            self.finish()
            if not stage.group(2).startswith(SKIPPED):
                self.title, self.share, self.start = f"stage {stage.group(1)}: {stage.group(2)}", 0.0, self.clock()
        elif SHOWN.search(line):
            self.write(line)
        else:
            self.share = share_of(line, self.share)

    def finish(self):
        """The stage has ended: its line, with its time."""
        if self.title:
            self.write(f"{minutes(self.clock() - self.start)}  {self.title}")
        self.title = ""

    def draw(self):
        """The bar, over what was drawn before."""
        if self.is_terminal and self.title:
            text = f"{minutes(self.clock() - self.start)}  {bar(self.share)}  {self.title}"
            self.stream.write(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}")
            self.stream.flush()

    def write(self, line):
        """A line that stays."""
        self.stream.write(f"{chr(13)}{chr(27)}[K{line}\n" if self.is_terminal else f"{line}\n")
        self.stream.flush()


def share_of(line, before):
    """How much of a stage is done, as far as a line tells it.

    >>> share_of("train.sh: INFO update 300/1200, loss 2.1", 0.0), share_of("loading", 0.5)
    (0.25, 0.5)
    """
    match = SHARE.search(line)
    numbers = [int(text) for text in match.groups() if text] if match else []
    return min(numbers[0] / numbers[1], 1.0) if numbers and numbers[1] else before


def bar(share):
    """
    >>> bar(0.5)
    '[############............]  50 %'
    """
    full = round(BAR_CHARACTERS * share)
    return f"[{'#' * full}{'.' * (BAR_CHARACTERS - full)}] {100 * share:3.0f} %"


def minutes(seconds):
    """
    >>> minutes(83.2)
    ' 1:23'
    """
    return f"{int(seconds) // 60:2d}:{int(seconds) % 60:02d}"


def lines_of(descriptor):
    """Whole lines as they come, and None whenever a second passes without one."""
    held = b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], REDRAW_SECONDS)
        if not ready:
            yield None
            continue
        part = os.read(descriptor, 1 << 16)
        if not part:
            break
        *whole, held = (held + part).replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
    if held:
        yield held.decode("utf-8", "replace")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--log", required=True, help="all lines are appended to this file")
    arguments = parser.parse_args()
    progress = Progress(sys.stdout, sys.stdout.isatty())
    with open(arguments.log, "a", encoding="utf-8") as log:
        for line in lines_of(sys.stdin.fileno()):
            if line:
                log.write(line + "\n")
                log.flush()
                progress.take(line)
            progress.draw()
    progress.finish()


if __name__ == "__main__":
    main()
