"""The toolkit's folders -> which tools, corpora and Python modules are here; what is known of those that are not."""

import fnmatch
import importlib.util
import os
import re
import sys
from dataclasses import dataclass

HERE = os.path.dirname(os.path.realpath(__file__))  # utils is a link in recipes
ROOT = os.path.dirname(os.path.dirname(HERE))
TEMPLATE = os.path.join(ROOT, "egs2", "TEMPLATE", "ssl1")
IN_TEMPLATE = ("scripts", "pyscripts", "steps")
# Import name -> distribution, where they differ.
DISTRIBUTIONS = {
    "Levenshtein": "levenshtein",
    "MeCab": "mecab-python3",
    "PIL": "pillow",
    "av": "av",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "google": "protobuf",
    "silero_vad": "silero-vad",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "tacotron_cleaner": "espnet_tts_frontend",
    "yaml": "pyyaml",
}
# Programs that a Python package brings along.
PROGRAM_PACKAGES = {"gdown": "gdown", "lhotse": "lhotse", "morfessor": "morfessor"}


@dataclass(frozen=True)
class Tool:
    """A row of tools.tsv: a name or a pattern, what differs or why it is not here, and the title above it."""

    pattern: str
    note: str
    title: str

    @property
    def is_here(self) -> bool:
        """Whether the toolkit has it; patterns are of what it has not."""
        if self.pattern.startswith("program "):
            return has_command(self.pattern.removeprefix("program "))
        return module_file(self.pattern) if self.pattern.startswith("espnet") else has_tool(self.pattern)


def read_rows() -> list[Tool]:
    """The rows of tools.tsv."""
    rows, title = [], ""
    with open(os.path.join(HERE, "tools.tsv"), encoding="utf-8") as stream:
        for line in stream:
            if line.startswith("== "):
                title = line[3:].strip()
            elif line.strip() and not line.startswith("#"):
                pattern, _, note = line.rstrip("\n").partition("\t")
                rows.append(Tool(pattern, note, title))
    return rows


def row_of(name: str, rows: list[Tool]) -> Tool | None:
    """The first row whose pattern fits a tool."""
    return next((row for row in rows if fnmatch.fnmatchcase(name, row.pattern)), None)


def has_tool(name: str) -> bool:
    """Whether utils/..., scripts/..., pyscripts/... or steps/... is a file of the toolkit."""
    top = name.split("/", 1)[0]
    return os.path.exists(os.path.join(TEMPLATE if top in IN_TEMPLATE else ROOT, name))


def has_command(name: str) -> bool:
    """Whether a plain name is found on PATH because path.sh puts utils/ and tools/bin/ there."""
    return any(os.path.isfile(os.path.join(ROOT, folder, name)) for folder in ("utils", "tools/bin"))


def corpora() -> dict[str, int]:
    """The names that db.sh sets, and their lines."""
    with open(os.path.join(TEMPLATE, "db.sh"), encoding="utf-8") as stream:
        matches = ((re.match(r"(?:export )?([A-Za-z_]\w*)=", line), number) for number, line in enumerate(stream, 1))
        return {match.group(1): number for match, number in matches if match}


def packages() -> tuple[set[str], dict[str, str]]:
    """Distributions that every environment has, and distribution -> extra of those that some have."""
    path = os.path.join(ROOT, "setup.py")
    if not os.path.isfile(path):
        return set(), {}  # an installed copy of some folders
    specification = importlib.util.spec_from_file_location("toolkit_setup", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    required = {plain(text) for text in module.REQUIRED}
    return required, {plain(text): extra for extra, texts in module.EXTRAS.items() for text in texts}


def plain(requirement: str) -> str:
    """The name in a requirement."""
    return re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def module_file(name: str) -> bool:
    """Whether espnet2.x.y is a module or a package here."""
    path = os.path.join(ROOT, *name.split("."))
    return os.path.isfile(path + ".py") or os.path.isdir(path)


def is_standard(name: str) -> bool:
    return name.split(".")[0] in sys.stdlib_module_names


def functions_of(tool: str) -> set[str]:
    """The functions that a sourced tool defines."""
    top = tool.split("/", 1)[0]
    with open(os.path.join(TEMPLATE if top in IN_TEMPLATE else ROOT, tool), encoding="utf-8") as stream:
        return set(re.findall(r"^(?:function )?([\w-]+) *\(\)", stream.read(), re.MULTILINE))
