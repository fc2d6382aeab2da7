"""The text of a shell script -> the commands it runs, the variables it uses and sets, and its documents (<<).

This reads; nothing is run. What only running would tell (a name put together from variables) is not seen.
"""

import re
from dataclasses import dataclass, field

import shell_words

# Words behind which a command begins.
OPENERS = {
    "if",
    "then",
    "elif",
    "else",
    "while",
    "until",
    "do",
    "!",
    "{",
    "time",
    "exec",
    "nohup",
    "sudo",
    "command",
    "env",
}
CLOSERS = {"fi", "done", "esac", "}", ")", "]]"}
NEW = "new"  # an `if` whose condition comes next
CONDITION = re.compile(r"(?:\[\[? )?\$\{?(\w+)\}?(?: ==? true \]\]?)?")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\[[^]]*\])?\+?=")
DOCUMENT = re.compile(r"<<-?\s*(['\"\\]?)([A-Za-z_][\w.]*)['\"]?")


@dataclass(frozen=True)
class Command:
    """One simple command: its words without quotes, and the line (from 1) on which it begins."""

    line: int
    words: tuple[str, ...]
    conditions: tuple[str, ...] = ()  # the variables of `if ${variable}` around it


@dataclass
class Script:
    """What was read of a script."""

    commands: list[Command] = field(default_factory=list)
    uses: dict[str, int] = field(default_factory=dict)  # variable that must be set -> first line
    sets: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)  # variable -> the first value that it gets
    functions: set[str] = field(default_factory=set)
    documents: list[tuple[int, str]] = field(default_factory=list)  # (number of the command that reads it, text)


class Reader(shell_words.Words):
    """Goes through a text once; the nested $(...) and `...` go through it again."""

    def __init__(self, text: str, script: Script, line: int = 1, conditions: tuple[str, ...] = ()):
        super().__init__(text, line)
        self.uses = script.uses
        self.script = script
        self.pending: list[tuple[int, str, bool, bool]] = []  # documents whose text follows the line
        self.case_depth: list[bool] = []  # for each open case: True where a pattern is expected
        self.in_test = False
        self.is_target = False  # the word behind < or >
        self.conditions = list(conditions)  # for each open `if`: a variable, "" or NEW

    def end_word(self) -> None:
        if self.word is None:
            return
        word = "".join(self.word)
        self.word = None
        if self.is_target:
            self.is_target = False
            return
        if self.words == [] and word in OPENERS | CLOSERS and word != "]]":
            if word == "esac" and self.case_depth:
                self.case_depth.pop()
            self.note_condition(word)
            return
        if not self.words:
            assignment = ASSIGNMENT.match(word)
            if assignment:
                self.script.sets.add(assignment.group(1))
                self.script.values.setdefault(assignment.group(1), word[assignment.end() :])
                return
        if word == "[[" and not self.words:
            self.in_test = True
        if word == "]]":
            self.in_test = False
        if self.words[:1] == ["case"] and word == "in":
            self.words = []
            self.case_depth.append(True)
            return
        self.words.append(word)

    def end_command(self) -> None:
        self.end_word()
        if self.words:
            if self.conditions and self.conditions[-1] == NEW:
                condition = CONDITION.fullmatch(" ".join(self.words))
                self.conditions[-1] = condition.group(1) if condition else ""
            conditions = tuple(name for name in self.conditions if name)
            self.script.commands.append(Command(self.word_line, tuple(self.words), conditions))
            self.note_names(self.words)
        self.words = []

    def note_condition(self, word: str) -> None:
        if word == "if":
            self.conditions.append(NEW)
        elif self.conditions and word in ("else", "elif"):
            self.conditions[-1] = ""
        elif self.conditions and word == "fi":
            self.conditions.pop()

    def note_names(self, words: list[str]) -> None:
        """Variables that builtins set."""
        first = words[0]
        if first in ("export", "local", "declare", "readonly", "typeset", "read", "unset", "mapfile", "readarray"):
            for word in words[1:]:
                name = re.match(r"([A-Za-z_]\w*)", word)
                if name:
                    self.script.sets.add(name.group(1))
        elif first in ("for", "select") and len(words) > 1:
            self.script.sets.add(words[1])
        elif first == "printf" and words[1:2] == ["-v"] and len(words) > 2:
            self.script.sets.add(words[2])
        elif first == "function" and len(words) > 1:
            self.script.functions.add(words[1])

    def nested(self, begin: int, end: int) -> None:
        conditions = tuple(name for name in self.conditions if name not in ("", NEW))
        Reader(self.text[begin:end], self.script, self.line, conditions).run()

    def document(self) -> bool:
        """Note a << whose text begins on the next line."""
        if self.text.startswith("<<<", self.at):
            self.end_word()
            self.at += 3
            return True
        document = DOCUMENT.match(self.text, self.at)
        if not document:
            return False
        self.end_word()
        self.pending.append(
            (len(self.script.commands), document.group(2), document.group(0)[2:3] == "-", bool(document.group(1)))
        )
        self.at = document.end()
        return True

    def new_line(self) -> None:
        self.at += 1
        self.line += 1
        for number, mark, tabs, quoted in self.pending:
            end = re.compile(rf"^{'	*' if tabs else ''}{re.escape(mark)}\s*$", re.MULTILINE).search(
                self.text, self.at
            )
            stop = end.start() if end else len(self.text)
            body = self.text[self.at : stop]
            self.script.documents.append((number, body))
            if not quoted:
                self.use(body)
            after = end.end() if end else len(self.text)
            self.line += self.text.count("\n", self.at, after)
            self.at = after
        self.pending = []

    def separator(self, letter: str) -> None:
        """One of ; | & ( ) < > outside quotes."""
        text = self.text
        if letter in "<>":
            if text.startswith(("<(", ">("), self.at):
                end = self.closing(self.at + 2, "(", ")")
                self.nested(self.at + 2, end)
                self.line += text.count("\n", self.at, end)
                self.add("<(...)")
                self.at = end + 1
                return
            if letter == "<" and self.document():
                return
            if self.word is not None and not "".join(self.word).isdigit():
                self.end_word()
            self.word = None
            redirection = re.compile(r"[<>]+[&|]?\d?-?[ \t]*").match(text, self.at)
            self.at = redirection.end() if redirection else self.at + 1
            self.is_target = not (redirection and redirection.group(0).strip()[-1:].isdigit())
            return
        if letter == "&" and text.startswith("&>", self.at):
            self.end_word()
            self.at += 1
            return
        if letter == "(" and self.word is not None:
            word = "".join(self.word)
            if word.endswith("="):  # an array
                end = self.closing(self.at + 1, "(", ")")
                self.use(text[self.at : end])
                self.line += text.count("\n", self.at, end)
                self.at = end + 1
                return
            if text.startswith("()", self.at) and not self.words:
                self.script.functions.add(word)
                self.word = None
                self.at += 2
                return
        if self.in_test:
            self.end_word()
            self.at += 1
            return
        if letter == "(" and len(self.words) == 1 and re.compile(r"\(\s*\)").match(text, self.at):  # name () {
            self.script.functions.add(self.words.pop())
            self.at = text.index(")", self.at) + 1
            return
        if letter == "(" and text.startswith("((", self.at) and not self.words and self.word is None:
            end = text.find("))", self.at)
            self.use(text[self.at : end])
            self.at = len(text) if end < 0 else end + 2
            return
        if letter == ";" and text.startswith(";;", self.at) and self.case_depth:
            self.end_command()
            self.case_depth[-1] = True
            self.at += 2
            return
        self.end_command()
        self.at += 1

    def pattern(self) -> None:
        """A pattern of case, up to its ), or esac."""
        pattern = re.compile(r"\s*(?:#[^\n]*\n\s*)*(esac\b|[^)]*\))").match(self.text, self.at)
        if not pattern:
            self.case_depth[-1] = False
            return
        self.line += pattern.group(0).count("\n")
        self.at = pattern.end()
        if pattern.group(1) == "esac":
            self.case_depth.pop()
        else:
            self.case_depth[-1] = False

    def run(self) -> Script:
        while self.at < len(self.text):
            letter = self.text[self.at]
            if self.case_depth and self.case_depth[-1]:
                self.pattern()
            elif letter == "\n":
                self.end_command()
                self.new_line()
            elif letter in " \t\r":
                self.end_word()
                self.at += 1
            elif letter == "#" and self.word is None:
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif letter == "\\":
                if self.text.startswith("\\\n", self.at):
                    self.end_word()
                    self.line += 1
                else:
                    self.add(self.text[self.at + 1 : self.at + 2])
                self.at += 2
            elif letter == "'":
                self.single_quoted()
            elif letter == '"':
                self.double_quoted()
            elif letter == "`":
                self.backtick()
            elif letter == "$":
                self.dollar()
            elif letter in ";|&()<>":
                self.separator(letter)
            else:
                self.add(letter)
                self.at += 1
        self.end_command()
        return self.script


def read_script(text: str) -> Script:
    """Read a whole script."""
    return Reader(text, Script()).run()
