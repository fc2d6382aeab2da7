"""The text of a shell script -> its words: quotes, variables, $( ) and ` ` are understood here, commands are not."""

import re

USE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{[#!]?([A-Za-z_]\w*)([^}]?))")


class Words:
    """A place in a text and the word that is being read there."""

    def __init__(self, text: str, line: int):
        self.text = text
        self.line = line
        self.at = 0
        self.words: list[str] = []
        self.word: list[str] | None = None
        self.word_line = line
        self.uses: dict[str, int] = {}  # variable that must be set -> first line

    def nested(self, begin: int, end: int) -> None:
        """Read the commands of a part of the text."""
        raise NotImplementedError

    def add(self, text: str) -> None:
        if self.word is None:
            self.word = []
            if not self.words:
                self.word_line = self.line
        self.word.append(text)

    def use(self, text: str) -> None:
        """Note the variables of a text that the shell expands; those with a default may be unset."""
        for use in USE.finditer(text):
            name = use.group(1) or use.group(2)
            if (use.group(3) or "") in (":", "-", "+", "=", "?") and not use.group(1):
                following = text[use.end() : use.end() + 1]
                if use.group(3) != ":" or following in ("-", "+", "=", "?"):
                    continue
            self.uses.setdefault(name, self.line)

    def closing(self, begin: int, opener: str, closer: str) -> int:
        """The place of the closer that belongs to an opener before begin; quotes hide both."""
        depth, at, quote = 1, begin, ""
        while at < len(self.text):
            letter = self.text[at]
            if letter == "\\" and quote != "'":
                at += 2
                continue
            if quote:
                quote = "" if letter == quote else quote
            elif letter in "'\"":
                quote = letter
            elif letter == "#" and opener == "(" and self.text[at - 1] in " \t\n":
                end = self.text.find("\n", at)
                at = len(self.text) if end < 0 else end
                continue
            elif letter == opener:
                depth += 1
            elif letter == closer:
                depth -= 1
                if depth == 0:
                    return at
            at += 1
        return len(self.text)

    def dollar(self) -> None:
        """A $: a variable, or a command or a sum inside $( )."""
        text, at = self.text, self.at
        if text.startswith("$((", at):
            end = text.find("))", at)
            end = len(text) if end < 0 else end + 2
            self.use(text[at + 3 : end])
        elif text.startswith("$(", at):
            end = self.closing(at + 2, "(", ")")
            self.nested(at + 2, end)
            end += 1
        elif text.startswith("${", at):
            end = self.closing(at + 2, "{", "}") + 1
            self.use(text[at:end])
        else:
            variable = re.compile(r"\$(\w+|.)?", re.DOTALL).match(text, at)
            end = variable.end() if variable else at + 1
            self.use(text[at:end])
        self.add(text[at:end].replace("\n", " "))
        self.line += text.count("\n", at, end)
        self.at = end

    def backtick(self) -> None:
        end = self.text.find("`", self.at + 1)
        end = len(self.text) if end < 0 else end
        self.nested(self.at + 1, end)
        self.add("`...`")
        self.line += self.text.count("\n", self.at, end)
        self.at = end + 1

    def double_quoted(self) -> None:
        self.add("")
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            letter = self.text[self.at]
            if letter == "\\":
                self.add(self.text[self.at + 1 : self.at + 2])
                self.line += self.text.startswith("\n", self.at + 1)
                self.at += 2
            elif letter == "$":
                self.dollar()
            elif letter == "`":
                self.backtick()
            else:
                self.add(letter)
                self.line += letter == "\n"
                self.at += 1
        self.at += 1

    def single_quoted(self) -> None:
        end = self.text.find("'", self.at + 1)
        end = len(self.text) if end < 0 else end
        self.add(self.text[self.at + 1 : end])
        self.line += self.text.count("\n", self.at, end)
        self.at = end + 1
