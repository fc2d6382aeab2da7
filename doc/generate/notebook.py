"""The notebooks of doc/notebooks in, the same with their outputs out: every cell runs, from top to bottom.

Usage: python doc/generate/notebook.py    # minutes: the first model is trained. `make doc` shows what this has written.
"""

import base64
import io
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
PARAMETERS = "parameters"  # tag of the cell whose values may be changed; papermill has the same
START_SECONDS = 300  # most that the kernel may take to start; cells take what they need


def execute(notebook: Path, changed: Mapping[str, object] | None = None) -> NotebookNode:
    """Run all cells of a notebook in its folder.

    Args:
        changed: name -> value of what the cell of parameters sets otherwise.

    Returns:
        The notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
        ValueError: there is not exactly one cell of parameters, or it does not set one of the names.
    """
    content = nbformat.read(notebook, as_version=4)
    tagged = [number for number, cell in enumerate(content.cells) if PARAMETERS in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(f"{notebook}: expected one cell with the tag '{PARAMETERS}', it has {len(tagged)}")
    if changed:
        lines = content.cells[tagged[0]].source.splitlines()
        known = {name.strip() for line in lines for name in line.partition(" = ")[0].split(",")}
        if unknown := sorted(set(changed) - known):
            raise ValueError(f"{notebook}: {', '.join(unknown)}: no parameter; known are {', '.join(sorted(known))}")
        source = "\n".join(f"{name} = {value!r}" for name, value in changed.items())
        content.cells.insert(tagged[0] + 1, new_code_cell(source))
    client = NotebookClient(
        content,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(notebook.parent)}},
        record_timing=False,
        coalesce_streams=True,
        startup_timeout=START_SECONDS,
    )
    return client.execute()


def shrink_pictures(notebook: NotebookNode) -> None:
    """Give the pictures 256 colours, which is enough for curves and a spectrogram and less than half the bytes."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
                smaller = io.BytesIO()
                picture.convert("RGB").quantize(256).save(smaller, "PNG", optimize=True)
                output.data["image/png"] = base64.b64encode(smaller.getvalue()).decode()


def main() -> None:
    """Run every notebook and write it back."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        start = time.monotonic()
        executed = execute(path)
        shrink_pictures(executed)
        executed.metadata.language_info = {"name": "python"}  # not the version of whoever ran it
        nbformat.write(executed, path)
        size = path.stat().st_size
        print(f"{path.name}: {size:,} bytes, {time.monotonic() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
