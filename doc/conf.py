"""The Markdown of the repository in, doc/_build/html out: settings of Sphinx (`make doc`).

Sphinx reads from the root of the repository, so that a link from a page to a recipe's README, or back, is the same on
a forge and in the built pages.
"""

import sys
from pathlib import Path

DOC = Path(__file__).resolve().parent
sys.path.insert(0, str(DOC / "_extensions"))

project = "Self-supervised speech pre-training"
author = "its contributors"
copyright = author
root_doc = "doc/index"
include_patterns = ["*.md", "doc/**.md", "doc/notebooks/*.ipynb", "benchmark/*.md", "egs2/**.md"]
exclude_patterns = [path.name for path in DOC.parent.iterdir() if path.is_dir() and path != DOC]
exclude_patterns = sorted(set(exclude_patterns) - {"benchmark", "egs2"})
exclude_patterns += ["doc/_build", "egs2/*/*/[a-z]*"]  # RESULTS.md is wanted, folders that a recipe fills are not
extensions = ["myst_parser", "repository_links", "notebook_pages"]
highlight_language = "text"
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_js_files = ["focusable.js"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3  # so that pages can point at each other's headings, as on a forge
nitpicky = True
