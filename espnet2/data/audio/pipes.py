"""A wav.scp pipe ("sox x.wav -t wav - |") in, what it does to which file out: for machines without the program.

Only the usual decoding commands of recipes are understood; anything else is None and has to be run as it stands.
"""

import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace

EXPANSION = re.compile(r"[`$*?]")  # variables, commands and globs: the shell's business
PUNCTUATION = set("();<>|&")


@dataclass(frozen=True)
class PipePlan:
    """A file and what is done to its samples."""

    path: str
    rates: tuple[float, ...] = ()  # Hz, resampled to each in turn
    speed: float = 1.0  # pitch and tempo, as sox's `speed`; applied before `rates`, with which it commutes
    gain: float = 1.0
    channel: int | None = None  # 0-based
    mix: bool = False  # the mean of all channels

    @property
    def picks_none(self) -> bool:
        """True when the command leaves all channels as they are."""
        return self.channel is None and not self.mix

    def on(self, path: str) -> "PipePlan":
        """The same for another file."""
        return replace(self, path=path)


Step = Callable[[PipePlan | None, list[str]], PipePlan | None]


def parse_pipe(command: str) -> PipePlan | None:
    """The plan of a command that ends in "|"; None when any part of it is not understood."""
    return _parse(command, None)


def split_pipe(command: str) -> tuple[str, PipePlan]:
    """A pipe that is not understood -> the part that has to run, and the plan, for the file "-", of what follows it.

    >>> split_pipe("gunzip -c a.wav.gz | sox -t wav - -t wav - speed 0.9 |")[0]
    'gunzip -c a.wav.gz '
    """
    whole = command.strip().removesuffix("|")
    for bar in re.finditer(r"(?<!\|)\|(?!\|)", whole):
        plan = _parse(whole[bar.end() :], PipePlan("-"))
        if plan is not None and _is_balanced(whole[: bar.start()]):
            return whole[: bar.start()], plan
    return whole, PipePlan("-")


def _is_balanced(command: str) -> bool:
    """Whether no quotes are open at its end."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def _parse(command: str, plan: PipePlan | None) -> PipePlan | None:
    commands = _split(command)
    if commands is None:
        return None
    for words in commands:
        step = STEPS.get(words[0].rsplit("/", 1)[-1])
        plan = step(plan, words[1:]) if step else None
        if plan is None:
            return None
    return plan


def missing_programs(command: str) -> list[str]:
    """The programs of a pipe that this machine does not have; [] when the command has more syntax than pipes."""
    return [words[0] for words in _split(command) or [] if shutil.which(words[0]) is None]


def _split(command: str) -> list[list[str]] | None:
    """The words of each command of the pipe; None when it is more than words, quotes and pipes."""
    if EXPANSION.search(command):
        return None
    lexer = shlex.shlex(command.strip().removesuffix("|"), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    commands: list[list[str]] = [[]]
    try:
        for word in lexer:
            if word == "|":
                commands.append([])
            elif set(word) <= PUNCTUATION:
                return None
            else:
                commands[-1].append(word)
    except ValueError:  # unbalanced quotes
        return None
    return commands if all(commands) else None


def _cat(plan: PipePlan | None, words: list[str]) -> PipePlan | None:
    return PipePlan(words[0]) if plan is None and len(words) == 1 and not words[0].startswith("-") else None


def _wav_copy(plan: PipePlan | None, words: list[str]) -> PipePlan | None:
    """`wav-copy X -`, X being a file or a place in an ark."""
    return _input(plan, words[0]) if len(words) == 2 and words[1] == "-" and not words[0].endswith("|") else None


def _flac(plan: PipePlan | None, words: list[str]) -> PipePlan | None:
    """`flac -c -d -s X`, or the same from standard input."""
    options = {word for word in words if word.startswith("-") and word != "-"}
    files = [word for word in words if word == "-" or not word.startswith("-")]
    letters = {letter for word in options if not word.startswith("--") for letter in word[1:]}
    long = {word for word in options if word.startswith("--")}
    decodes = "d" in letters or "--decode" in long
    known = letters <= set("cdsf") and long <= {"--decode", "--stdout", "--silent", "--totally-silent", "--force"}
    if not (decodes and known and len(files) <= 1):
        return None
    return _input(plan, files[0] if files else "-")


def _sph2pipe(plan: PipePlan | None, words: list[str]) -> PipePlan | None:
    """`sph2pipe -f wav [-p] [-c N] X`."""
    channel, files = None, []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "-f" and queue and queue[0] in ("wav", "rif"):
            queue.pop(0)
        elif word == "-c" and queue and queue[0] in ("1", "2"):
            channel = int(queue.pop(0)) - 1
        elif word.startswith("-"):
            if word != "-p":  # force PCM: we always do
                return None
        else:
            files.append(word)
    return PipePlan(files[0], channel=channel) if plan is None and len(files) == 1 else None


SOX_FLAGS = re.compile(r"-q|-D|-G|-R|-V\d?|-S|--no-dither|--guard|--no-show-progress|--norc")
SOX_VALUED = {
    "-v",
    "--vol",
    "--volume",
    "-t",
    "-b",
    "-e",
    "-r",
    "-c",
    "--bits",
    "--encoding",
    "--rate",
    "--channels",
    "--type",
}


def _sox(plan: PipePlan | None, words: list[str]) -> PipePlan | None:
    """`sox [options] IN [options] OUT [speed F] [rate N] [remix N] [vol F]`, OUT being standard output."""
    queue = [word for word in words if not SOX_FLAGS.fullmatch(word)]
    source = _sox_file(queue)
    output = _sox_file(queue)
    if source is None or output is None or output[0] != "-":
        return None
    gain = source[1].pop("-v", "1")
    if set(source[1]) - {"-t"} or not _positive(gain) or source[1].get("-t") in ("raw", "sw", "ul", "al"):
        return None  # options before the input describe headerless audio or override its header
    if output[1].get("-t", "wav") not in ("wav", "wavpcm", "flac", "au"):
        return None
    plan = _input(plan, source[0])
    if plan is not None:
        plan = _sox_effects(replace(plan, gain=plan.gain * float(gain)), queue)
    if plan is None:
        return None
    if "-c" in output[1]:
        plan = replace(plan, mix=True) if output[1]["-c"] == "1" else None
    if plan is not None and "-r" in output[1]:
        rate = _rate(output[1]["-r"])
        plan = replace(plan, rates=(*plan.rates, rate)) if rate else None
    return plan


def _sox_file(queue: list[str]) -> tuple[str, dict[str, str]] | None:
    """Take the options of one file, and the file, from the front of the queue."""
    options: dict[str, str] = {}
    short = {"--vol": "-v", "--volume": "-v", "--type": "-t", "--rate": "-r", "--channels": "-c"}
    while queue:
        word = queue.pop(0)
        if word in SOX_VALUED and queue:
            options[short.get(word, word)] = queue.pop(0)
        elif word == "-" or not word.startswith("-"):
            return word, options
        else:
            return None
    return None


def _sox_effects(plan: PipePlan, queue: list[str]) -> PipePlan | None:
    while queue:
        name = queue.pop(0)
        values = []
        while queue and (re.fullmatch(r"[-+]?[\d.]+[kd]?[bB]?", queue[0]) or queue[0] in ("-h", "-v", "-m", "-s")):
            values.append(queue.pop(0))
        number = values[-1] if values else ""
        if name == "speed" and _positive(number):
            plan = replace(plan, speed=plan.speed * float(number))
        elif name == "rate" and (rate := _rate(number)):
            plan = replace(plan, rates=(*plan.rates, rate))
        elif name == "remix" and len(values) == 1 and number.isdigit() and int(number) > 0 and plan.channel is None:
            plan = replace(plan, channel=int(number) - 1)
        elif name == "channels" and values == ["1"]:
            plan = replace(plan, mix=True)
        elif name == "vol" and len(values) == 1 and _positive(number):
            plan = replace(plan, gain=plan.gain * float(number))
        else:
            return None
    return plan


FFMPEG_FLAGS = {"-nostdin", "-hide_banner", "-y", "-vn", "-nostats"}
FFMPEG_IGNORED = {"-v", "-loglevel", "-threads", "-ab"}  # a bit rate means nothing for PCM; many recipes write it
FFMPEG_OUTPUT = {
    "-f": "wav",
    "-acodec": "pcm_s16le",
    "-c:a": "pcm_s16le",
    "-codec:a": "pcm_s16le",
    "-sample_fmt": "s16",
}


def _ffmpeg(plan: PipePlan | None, words: list[str]) -> PipePlan | None:
    """`ffmpeg -i X [-ar N] [-ac 1] -f wav -`."""
    options: dict[str, str] = {}
    outputs: list[str] = []
    queue = [word for word in words if word not in FFMPEG_FLAGS]
    while queue:
        word = queue.pop(0)
        if word == "-" or not word.startswith("-"):
            outputs.append(word)
        else:
            options[word] = queue.pop(0) if queue else ""
    source = options.pop("-i", "")
    rate = _rate(options.pop("-ar", "0"))
    channels = options.pop("-ac", None)
    understood = all(name in FFMPEG_IGNORED or FFMPEG_OUTPUT.get(name) == value for name, value in options.items())
    if not (source and understood and channels in (None, "1") and len(outputs) == 1):
        return None
    if outputs[0] not in ("-", "pipe:1", "pipe:", "/dev/stdout"):
        return None
    plan = _input(plan, "-" if source in ("pipe:0", "pipe:", "/dev/stdin") else source)
    if plan is None:
        return None
    return replace(plan, mix=plan.mix or channels == "1", rates=(*plan.rates, rate) if rate else plan.rates)


def _input(plan: PipePlan | None, source: str) -> PipePlan | None:
    """What is read: the command before for "-", otherwise a file (then there must be no command before)."""
    if source == "-":
        return plan
    return PipePlan(source) if plan is None else None


def _positive(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def _rate(text: str) -> float | None:
    """Hz of "16000" or "16k"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(k?)", text)
    return float(match[1]) * (1000 if match[2] else 1) if match and float(match[1]) > 0 else None


STEPS: dict[str, Step] = {
    "cat": _cat,
    "flac": _flac,
    "sph2pipe": _sph2pipe,
    "sox": _sox,
    "ffmpeg": _ffmpeg,
    "wav-copy": _wav_copy,
}
