"""Every Python file gives names that say what a thing is: five that say nothing are refused."""

import ast
from collections.abc import Iterator

import pytest
from repository import python_files, relative, text_of

REFUSED = {"each", "found", "own", "wanted", "place"}


def names_given(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of all that a file names: variables, arguments, attributes, functions, classes, imports."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)) | ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield node.lineno, name


def refused_names(source: str) -> list[tuple[int, str]]:
    """(line, name) of the refused ones, whatever their case and with or without underscores around them."""
    return [(line, name) for line, name in names_given(ast.parse(source)) if name.strip("_").lower() in REFUSED]


def test_names_say_what_a_thing_is() -> None:
    faults = [
        f"{relative(path)}:{line}: '{name}' says nothing: name the thing"
        for path in python_files()
        for line, name in refused_names(text_of(path) or "")
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("found = 1\nfor each in (): ...", ["found", "each"]),
        ("def _found(own, *, wanted=1): ...", ["_found", "own", "wanted"]),
        ("class Place:\n    place: int\n    def f(self): self.own = 1", ["Place", "place", "own"]),
        ("OWN = [each for each in ()]\nif found := 1: ...", ["OWN", "found", "each"]),
        ("import a as found\nfrom a import b as place", ["found", "place"]),
        ("try: ...\nexcept E as found: ...\nlambda each: 1", ["found", "each"]),
        ("match x:\n    case [own, *wanted]: ...\n    case {**place}: ...", ["own", "wanted", "place"]),
        ("ours = 'found'  # each\nx.found()\nf(place=1)\nfound_perplexity = not_found = 1", []),
    ],
)
def test_refused_names_are_seen(source: str, names: list[str]) -> None:
    assert sorted(name for _, name in refused_names(source)) == sorted(names)
