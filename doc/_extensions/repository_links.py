"""Links to files that are no pages in, copies of these files beside the pages out; one that leads nowhere is a warning.

The same Markdown is read on a forge, where such links work by themselves, and in built pages, which must stand alone.
"""

import shutil
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

FOLDER = "_repository"  # of the copies, in the built pages
AS_THEY_ARE = {".svg", ".png", ".jpg", ".html", ".pdf", ".flac", ".wav"}  # a browser shows these
logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-read", find_links)
    app.connect("env-updated", allow_single_pages)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": False, "parallel_write_safe": True}


def find_links(app: Sphinx, document: nodes.document) -> None:
    """Lead links to files to their copies, and links to folders to their README."""
    root = Path(app.srcdir).resolve()
    here = Path(app.env.doc2path(app.env.docname)).resolve().parent
    up = "../" * app.env.docname.count("/")
    for link in [*document.findall(addnodes.pending_xref), *document.findall(addnodes.download_reference)]:
        name = str(link.get("reftarget", "")).partition("#")[0]
        target = (here / name).resolve()
        if target.with_name(f"{target.name}.md").exists():  # MyST leaves the suffix out
            continue
        if not name or "://" in name or not target.exists() or not target.is_relative_to(root):
            continue  # Sphinx resolves it, or warns
        page = target / "README.md" if target.is_dir() else target
        if not page.exists():
            logger.warning("%s: a folder without README.md", name, location=link)
        elif app.env.path2doc(str(page)) in app.env.found_docs:
            if target.is_dir():
                link.replace_self(reference(link, f"{up}{app.env.path2doc(str(page))}.html"))
        else:
            copy = copied_name(page.relative_to(root))
            copied_files(app)[copy] = page
            link.replace_self(reference(link, f"{up}{FOLDER}/{copy}"))


def reference(link: nodes.Element, address: str) -> nodes.reference:
    """A link with the same words to another place."""
    made = nodes.reference("", "", internal=True, refuri=address)
    made.extend(nodes.inline("", child.astext()) for child in link.children)
    return made


def copied_name(path: Path) -> str:
    """Text gets a suffix with which a browser shows it instead of saving it.

    >>> copied_name(Path("egs2/run.sh")), copied_name(Path("a/b.png"))
    ('egs2/run.sh.txt', 'a/b.png')
    """
    return path.as_posix() if path.suffix in AS_THEY_ARE else f"{path.as_posix()}.txt"


def copied_files(app: Sphinx) -> dict[str, Path]:
    """Name of the copy -> file; kept between builds with Sphinx's own environment."""
    if not hasattr(app.env, "repository_files"):
        app.env.repository_files = {}
    return app.env.repository_files


def allow_single_pages(app: Sphinx, env: object) -> list[str]:
    """READMEs and results need not be in the table of contents: pages lead to them. Those of doc/ must be."""
    for name in app.env.found_docs:
        if not name.startswith("doc/"):
            app.env.metadata[name]["orphan"] = True
    return []


def finish(app: Sphinx, failure: Exception | None) -> None:
    """Copy the files, and let index.html lead to the first page."""
    if failure is not None or app.builder.format != "html":
        return
    for name, path in sorted(copied_files(app).items()):
        copy = Path(app.outdir) / FOLDER / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    first = f"{app.config.root_doc}.html"
    lines = [
        "<!doctype html>",
        f'<meta http-equiv="refresh" content="0; url={first}">',
        f'<a href="{first}">{first}</a>',
    ]
    (Path(app.outdir) / "index.html").write_text("\n".join(lines) + "\n")
