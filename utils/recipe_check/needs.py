"""A recipe folder -> what its data preparation needs, each with a place: tools, corpora, Python modules, programs."""

import itertools
import os
import re
from dataclasses import dataclass, field

import python_text
import shell_text
import toolkit

OURS = ("espnet", "espnet2")  # their modules may be here
START = "local/data.sh"
# A file of the toolkit's folders, from the recipe's folder or from a toolkit's root.
TOOL = re.compile(
    r"(?:^|[\s\"'=(;|&`])(?:\./|\$\{?(?:PWD|MAIN_ROOT|KALDI_ROOT)\}?/(?:egs/wsj/s5/)?|(?:\.\./)+(?:TEMPLATE/\w+/)?)?"
    r"((?:utils|scripts|pyscripts|steps|sid|local)/[\w./+-]*\w)"
)
DECODERS = ("sph2pipe", "sox", "ffmpeg", "flac", "wav-copy", "opusdec", "mpg123")
# Programs that decode audio, where a script writes them into wav.scp or starts them from Python or Perl.
DECODER = re.compile(r"(?:^|[\s|'\"({`])(" + "|".join(DECODERS) + r")[ '\",]+(?=-|\S+\.|[$%{'\"])")
QUIET = {"echo", "log", "printf", "die"}  # what they print is no call
SCRIPT = (".sh", ".pl", ".py", ".rb", ".bash", ".awk")
BUILTINS = set(
    ". : [ [[ alias bg bind break builtin caller case cd command compgen continue declare dirs disown echo "
    "enable eval exec exit export false fg for function getopts hash help if in jobs kill let local mapfile "
    "popd printf pushd pwd read readarray readonly return select set shift shopt source test times trap true "
    "type typeset ulimit umask unalias unset until wait while".split()
)
STANDARD = set(
    "awk basename bash bunzip2 bzip2 cat chmod chown clear cmp column comm cp cut date df diff dirname du "
    "egrep env expr fgrep file find fold free gawk getopt grep gunzip gzip head hostname iconv id install join "
    "less ln ls make md5sum mkdir mkfifo mktemp mv nl nohup nproc od paste ps python python3 readlink realpath "
    "rename rev rm rmdir sed seq sh sha1sum sha256sum shuf sleep sort split stat sync tac tail tar tee time "
    "timeout touch tr tree uname uniq wc which whoami xargs yes zcat zgrep perl pip pip3 nice tput".split()
)
# Names that every shell has, and those that path.sh and cmd.sh set.
SHELL_VARIABLES = set(
    "BASHPID BASH_LINENO BASH_SOURCE BASH_VERSION CONDA_PREFIX EUID FUNCNAME HOME HOSTNAME IFS KALDI_ROOT LANG "
    "LC_ALL LD_LIBRARY_PATH LINENO MAIN_ROOT OLDPWD OMP_NUM_THREADS OPTARG OPTIND PATH PIPESTATUS PPID PWD "
    "PYTHONPATH RANDOM REPLY SECONDS SHELL SHLVL TMPDIR UID USER".split()
)


@dataclass(frozen=True, order=True)
class Need:
    """One thing that a recipe needs; kind: tool, corpus, module, program or recipe (a file of its own)."""

    kind: str
    name: str
    location: str
    option: str = ""  # needed only with --<option> true, which is not the default


@dataclass
class Reading:
    """What was read so far."""

    folder: str
    needs: dict[tuple[str, str], Need] = field(default_factory=dict)
    uses: dict[str, str] = field(default_factory=dict)
    sets: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    programs: list[Need] = field(default_factory=list)
    files: set[tuple[str, str]] = field(default_factory=set)

    option: str = ""  # around what is being read

    def need(self, kind: str, name: str, location: str) -> None:
        """Note a need; one that is there without an option replaces one with it."""
        before = self.needs.get((kind, name))
        if before is None or (before.option and not self.option):
            self.needs[kind, name] = Need(kind, name, location, self.option)


def read_file(reading: Reading, name: str, words: tuple[str, ...] = ()) -> None:
    """Read local/x.sh, local/x.py, ... of the recipe, called with these words, and what it calls."""
    name = os.path.normpath(name)
    path = os.path.join(reading.folder, name)
    if (name, "") in reading.files or (name, reading.option) in reading.files or not os.path.isfile(path):
        return
    reading.files.add((name, reading.option))
    with open(path, "rb") as stream:
        text = stream.read().decode("utf-8", "replace")
    first = text.split("\n", 1)[0]
    if name.endswith(".py") or ("python" in first and first.startswith("#!")):
        read_python(reading, text, name)
    elif name.endswith((".sh", ".bash")) or (first.startswith("#!") and "sh" in first):
        read_shell(reading, text, name, words)
    elif name.endswith(".pl") or "perl" in first:
        reading.need("program", "perl", f"{name}:1")
        for number, line in enumerate(text.splitlines(), 1):
            for decoder in DECODER.findall(line.split("#")[0]):
                reading.need("program", decoder, f"{name}:{number}")


def read_python(reading: Reading, text: str, name: str, offset: int = 0) -> None:
    for number, text_line in enumerate(text.splitlines(), 1):
        for decoder in DECODER.findall(text_line.split("#")[0]):
            reading.need("program", decoder, f"{name}:{number + offset}")
    for module, line in python_text.imports(text).items():
        top = module.split(".")[0]
        location = f"{name}:{line + offset}"
        beside = os.path.join(os.path.dirname(name), *module.split("."))
        candidates = [beside + ".py", *([module.replace(".", "/") + ".py"] if top == "local" else [])]
        known = next((file for file in candidates if os.path.isfile(os.path.join(reading.folder, file))), None)
        if known:
            read_file(reading, known)
        elif os.path.isdir(os.path.join(reading.folder, os.path.dirname(name), top)) or top == "local":
            continue
        elif not toolkit.is_standard(module):
            reading.need("module", module if top in OURS else top, location)


def read_shell(reading: Reading, text: str, name: str, called: tuple[str, ...] = ()) -> None:
    script = shell_text.read_script(text)
    given = {word[2:].replace("-", "_"): value for word, value in itertools.pairwise(called) if word.startswith("--")}
    outside = reading.option
    reading.functions |= script.functions
    if script.values.get("sph2pipe") == "sph2pipe":
        reading.need("program", "sph2pipe", f"{name}:1")
    reading.sets |= script.sets
    for variable, line in script.uses.items():
        reading.uses.setdefault(variable, f"{name}:{line}")
    for command in script.commands:
        off = [option for option in command.conditions if given.get(option, script.values.get(option)) == "false"]
        reading.option = outside or (off[0] if off else "")
        read_command(reading, command, name)
    reading.option = outside
    for number, body in script.documents:
        if number < len(script.commands) and is_python(script.commands[number].words[0]):
            read_python(reading, body, name, script.commands[number].line)


def is_python(word: str) -> bool:
    return re.fullmatch(r"(?:.*/)?(?:python[\d.]*|\$\{?python\w*\}?)", word) is not None


def read_command(reading: Reading, command: shell_text.Command, name: str) -> None:
    location = f"{name}:{command.line}"
    for tool in [] if command.words[0] in QUIET else TOOL.findall("\n".join(command.words)):
        tool = os.path.normpath(tool)
        if not tool.endswith(SCRIPT) or (tool.startswith(("scripts/", "pyscripts/")) and tool.count("/") < 2):
            continue  # a file of the toolkit's is in a folder of scripts/
        if command.words[0] in (".", "source") and toolkit.has_tool(tool):
            reading.functions |= toolkit.functions_of(tool)
        if not tool.startswith("local/"):
            reading.need("tool", tool, location)
        elif os.path.isfile(os.path.join(reading.folder, tool)):
            read_file(reading, tool, command.words)
        else:
            reading.need("recipe", tool, location)
    for decoder in DECODER.findall("\n".join(command.words)) + [
        word for word in command.words[1:] if word == "sph2pipe"
    ]:
        reading.need("program", decoder, location)
    words = list(command.words)
    if words[0] in ("which", "type", "-v"):  # `command -v`: the recipe stops where a decoder is not there
        for decoder in words[1:]:
            if decoder in DECODERS:
                reading.need("program", decoder, location)
    if is_python(words[0]):
        if "-m" in words[1:-1]:
            module = words[words.index("-m") + 1]
            if not re.fullmatch(r"[A-Za-z_][\w.]*", module) or toolkit.is_standard(module) or module == "pip":
                return
            reading.need("module", module if module.split(".")[0] in OURS else module.split(".")[0], location)
        elif "-c" in words[1:-1]:
            read_python(reading, words[words.index("-c") + 1], name, command.line - 1)
        return
    if re.fullmatch(r"[A-Za-z][\w.+-]*", words[0]) and words[0] not in BUILTINS | STANDARD:
        reading.programs.append(Need("program", words[0], location, reading.option))


def of_recipe(folder: str, start: str) -> list[Need]:
    """Everything that a recipe needs, in the order of its names."""
    reading = Reading(folder)
    read_file(reading, start)
    for variable, location in reading.uses.items():
        if variable.isupper() and variable not in reading.sets | SHELL_VARIABLES:
            reading.need("corpus", variable, location)
    for program in reading.programs:
        if program.name in reading.functions:
            continue
        kind = "tool" if program.name.endswith(SCRIPT) else "program"
        reading.option = program.option
        reading.need(kind, f"utils/{program.name}" if kind == "tool" else program.name, program.location)
    return sorted(reading.needs.values())
