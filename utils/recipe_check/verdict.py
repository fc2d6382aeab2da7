"""What a recipe needs -> how each need stands: missing in the toolkit, to be installed, to be filled in, or here."""

import importlib.util
import os
import re
import shutil
from dataclasses import dataclass, field

import needs
import toolkit


@dataclass
class Verdict:
    """Sentences about what a recipe needs and has not; here is nothing to say about what it has."""

    missing: list[str] = field(default_factory=list)  # no part of this toolkit
    install: list[str] = field(default_factory=list)  # packages and programs that anyone can install
    corpora: list[str] = field(default_factory=list)  # empty names of db.sh
    recipe_files: list[str] = field(default_factory=list)  # the recipe's own files that its folder lacks
    options: list[str] = field(default_factory=list)  # missing, but only with an option that is off by default

    @property
    def runs(self) -> bool:
        """Whether nothing is missing but the corpus and what anyone can install."""
        return not self.missing

    def sentences(self) -> list[str]:
        """Everything that may stop the recipe."""
        return [*self.missing, *self.install, *self.corpora, *self.recipe_files]


class Judge:
    """What the toolkit has, read once for many recipes."""

    def __init__(self) -> None:
        self.rows = toolkit.read_rows()
        self.required, self.extras = toolkit.packages()
        self.lines = toolkit.corpora()

    def of(self, folder: str, start: str) -> Verdict:
        """How the needs of a recipe stand, from that script on."""
        verdict = Verdict()
        for need in needs.of_recipe(folder, start):
            getattr(self, need.kind)(verdict, need)
        return verdict

    def lack(self, verdict: Verdict, need: needs.Need, name: str) -> None:
        row = toolkit.row_of(name, self.rows)
        note = re.sub(r"\[.*?\]\((.*?)\)", r"doc/\1", row.note) if row else ""
        text = f"{need.location}: {name}" + (f" ({note})" if note else "")
        if need.option:
            verdict.options.append(f"{text}; only with --{need.option} true")
        else:
            verdict.missing.append(text)

    def tool(self, verdict: Verdict, need: needs.Need) -> None:
        if not toolkit.has_tool(need.name):
            self.lack(verdict, need, need.name)

    def recipe(self, verdict: Verdict, need: needs.Need) -> None:
        if not need.option:
            verdict.recipe_files.append(f"{need.location}: {need.name}")

    def corpus(self, verdict: Verdict, need: needs.Need) -> None:
        if os.environ.get(need.name):
            return
        if need.name in self.lines:
            verdict.corpora.append(f"{need.location}: {need.name}, line {self.lines[need.name]} of db.sh")
        else:
            verdict.corpora.append(
                f"{need.location}: {need.name}, which db.sh does not have: add it, or set it in the environment"
            )

    def module(self, verdict: Verdict, need: needs.Need) -> None:
        if need.name.split(".")[0] in needs.OURS:
            if not toolkit.module_file(need.name):
                self.lack(verdict, need, need.name)
            return
        name = toolkit.plain(toolkit.DISTRIBUTIONS.get(need.name, need.name))
        if name in self.required or importlib.util.find_spec(need.name) or need.option:
            return
        extra = self.extras.get(name)
        requirement = f"'{toolkit.ROOT}[{extra}]'" if extra else name
        verdict.install.append(f"{need.location}: Python package {need.name}: pip install {requirement}")

    def program(self, verdict: Verdict, need: needs.Need) -> None:
        if toolkit.has_command(need.name) or (need.name in toolkit.PROGRAM_PACKAGES and need.option):
            return
        package = toolkit.PROGRAM_PACKAGES.get(need.name)
        if package and package in self.extras:
            if shutil.which(need.name) is None:
                verdict.install.append(
                    f"{need.location}: program {need.name}: pip install '{toolkit.ROOT}[{self.extras[package]}]'"
                )
        elif toolkit.row_of(f"program {need.name}", self.rows):  # other toolkits bring it along
            if shutil.which(need.name) is None:
                self.lack(verdict, need, f"program {need.name}")
        elif shutil.which(need.name) is None and not need.option:
            verdict.install.append(f"{need.location}: program {need.name}, which this machine does not have")
