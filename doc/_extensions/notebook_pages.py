"""Notebooks in, pages with their text, programs, output and pictures out; nothing is executed.

The outputs are those in the file, which doc/generate/notebook.py writes.
"""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx

NAME = "notebook"
MOST_LINES = 12  # of a stream that is shown unfolded
Json = dict[str, Any]  # a cell or an output, as the format of Jupyter has it


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_source_suffix(".ipynb", NAME)
    app.add_source_parser(NotebookParser)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class NotebookParser(MystParser):
    """Reads a notebook as the Markdown that it amounts to."""

    supported = (NAME,)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Called by Sphinx with the text of the file."""
        super().parse(as_markdown(json.loads(inputstring)), document)


def as_markdown(notebook: Json) -> str:
    """The page of a notebook.

    >>> cells = [{"cell_type": "markdown", "source": "# A"}, {"cell_type": "code", "source": "1 + 1", "outputs": []}]
    >>> as_markdown({"cells": cells})
    '# A\\n\\n```python\\n1 + 1\\n```\\n'
    """
    blocks: list[str] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(source)
        elif cell["cell_type"] == "code" and source:
            blocks += [fenced("python", source), *shown(cell["outputs"], alternative_text(source))]
    return "\n\n".join(blocks) + "\n"


def shown(outputs: list[Json], alternative: str) -> Iterator[str]:
    """What a cell left behind, streams joined; of the forms of a result the richest that a page can hold."""
    for name, group in groupby(outputs, key=lambda output: output.get("name", "")):
        if name:
            yield said("".join("".join(output["text"]) for output in group))
            continue
        for output in group:
            data = {kind: "".join(text) for kind, text in output.get("data", {}).items() if kind != "application/json"}
            if "image/png" in data:
                yield f"![{alternative}](data:image/png;base64,{re.sub(chr(10), '', data['image/png'])})"
            elif "text/html" in data:
                yield fenced("{raw} html", data["text/html"])
            elif "text/markdown" in data:
                yield data["text/markdown"]
            elif "text/plain" in data:
                yield fenced("text", data["text/plain"])


def said(text: str) -> str:
    """A stream, folded where it is long."""
    block, lines = fenced("text", text), text.count("\n")
    return block if lines <= MOST_LINES else f"<details><summary>{lines} lines</summary>\n\n{block}\n\n</details>"


def alternative_text(source: str) -> str:
    """What a picture shows, for those who cannot see it: the comment at the head of its cell.

    >>> alternative_text("# The learning curve\\nplot()")
    'The learning curve'
    """
    first = source.split("\n", 1)[0]
    return first.lstrip("# ") if first.startswith("#") else "output of the program above"


def fenced(language: str, text: str) -> str:
    """A block of code, behind a fence that does not occur in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
