"""Recipe folders -> what each needs that is not here; exit 1 where the toolkit lacks a part."""

import os
import sys
from collections.abc import Iterable

import needs
import verdict

USAGE = """usage: check_recipe.sh [--summary | --hint] [--start <script>] <recipe folder>...
e.g.:  check_recipe.sh egs2/my_corpus/ssl1
Reads local/data.sh of a recipe (Kaldi's, ESPnet's or yours) and every script that it calls, runs nothing, and says what
they need that is not here.
--start <script>  begin there: recipes of Kaldi have no local/data.sh; e.g. --start local/data_prep.sh
--summary         one line for each recipe, and how many can run
--hint            nothing where nothing is missing"""


def print_part(title: str, sentences: Iterable[str]) -> None:
    sentences = list(sentences)
    if sentences:
        print(f"  {title}")
        for sentence in sentences:
            print(f"    {sentence}")


def report(folder: str, judgement: verdict.Verdict) -> None:
    """Print everything about one recipe."""
    print(f"{folder}: " + ("nothing is missing in the toolkit" if judgement.runs else "the toolkit lacks a part"))
    print_part("not in this toolkit:", judgement.missing)
    print_part("not in this toolkit, and needed only with an option:", judgement.options)
    print_part("to install:", judgement.install)
    print_part("the folder of the corpus:", judgement.corpora)
    print_part("files of the recipe itself that are not there:", judgement.recipe_files)


def summary(folders: list[str], start: str, judge: verdict.Judge) -> bool:
    """Print a line for each recipe, then the counts; whether all can run."""
    count = 0
    for folder in folders:
        judgement = judge.of(folder, start)
        count += judgement.runs
        lacking = [sentence.split(" (")[0].split(": ", 1)[1] for sentence in judgement.missing]
        print(f"{folder}: " + ("needs " + ", ".join(lacking) if lacking else "ok"))
    print(f"{count} of {len(folders)} need nothing that is not here, but their corpus and what anyone can install")
    return count == len(folders)


def main(arguments: list[str]) -> int:
    mode = arguments[0] if arguments[:1] in (["--summary"], ["--hint"]) else ""
    folders, start = arguments[bool(mode) :], needs.START
    if folders[:1] == ["--start"] and len(folders) > 1:
        start, folders = folders[1], folders[2:]
    if not folders or any(folder.startswith("-") for folder in folders):
        print(USAGE, file=sys.stderr)
        return 1
    for folder in folders:
        if not os.path.isfile(os.path.join(folder, start)):
            remedy = "" if start != needs.START else "; --start names another script to begin with"
            print(f"check_recipe.sh: no such file {os.path.join(folder, start)}{remedy}", file=sys.stderr)
            return 1
    judge = verdict.Judge()
    if mode == "--summary":
        return int(not summary(folders, start, judge))
    all_run = True
    for folder in folders:
        judgement = judge.of(folder, start)
        if not mode or judgement.sentences():
            report(folder, judgement)
        all_run = all_run and judgement.runs
    return int(not all_run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
