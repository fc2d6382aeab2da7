"""QUESST 2014 in, its English documents and queries for query by example out."""

import xml.etree.ElementTree
from pathlib import Path

from espnet2.data_prep.superb.base import SuperbCorpus, read_lines, require_file, write_set
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError
from espnet2.utils.show import first_names

ENGLISH = "nnenglish"  # s3prl, quesst14_dtw/dataset.py
LISTS = {"docs": "utterances", "dev": "dev", "test": "eval"}


class Quesst14(SuperbCorpus):
    """quesst14Database: Audio/, dev_queries/, eval_queries/ and scoring/."""

    name = "quesst14"
    title = "QUESST 2014, English"

    def prepare(self, root: Path, data: Path, options: Config) -> list[str]:
        sets = {part: _english(root, f"language_key_{name}.lst") for part, name in LISTS.items()}
        write_set(data / "qbe" / "docs", sets["docs"], {})
        for part in ("dev", "test"):
            truth = _matches(root / "scoring" / f"groundtruth_quesst14_{LISTS[part]}")
            unknown = [query for query in sets[part] if query not in truth]
            if unknown:
                raise UserError(
                    f"{root}/scoring/groundtruth_quesst14_{LISTS[part]}: no term {first_names(unknown, 3)}: without it "
                    "these queries would be left out; unpack the corpus again"
                )
            matches = {
                query: " ".join(sorted(document for document in truth.get(query, set()) if document in sets["docs"]))
                for query in sets[part]
            }
            write_set(data / "qbe" / part, sets[part], {"matches": matches})
        return ["qbe"]


def _english(root: Path, name: str) -> dict[str, str]:
    """Name -> file, of the lines "<folder>/<file> <language>" of a list that are English."""
    path = root / "scoring" / name
    files = {}
    for number, line in enumerate(read_lines(path, "expected the lists of QUESST 2014"), 1):
        words = line.split()
        if len(words) != 2:
            raise UserError(f"{path}:{number}: expected '<file> <language>', got '{line[:80]}'")
        if words[1] == ENGLISH:
            file = root / words[0].partition("/")[2]
            files[file.stem] = str(require_file(file, f"{path}:{number} names it"))
    if not files:
        raise UserError(f"{path}: no line with the language {ENGLISH}")
    return files


def _matches(folder: Path) -> dict[str, set[str]]:
    """Query -> documents, of the .rttm of a ground truth: a LEXEME line per document that holds the query.

    The corpus has NIST's files: an RTTM of the documents, and a list of terms (.tlist.xml) whose text stands in it.
    """
    rttms = sorted(folder.glob("*.rttm"))
    lists = sorted(folder.glob("*.tlist.xml"))
    if len(rttms) != 1 or len(lists) != 1:
        raise UserError(f"{folder}: expected one *.rttm and one *.tlist.xml of the ground truth, see doc/superb.md")
    texts: dict[str, set[str]] = {}
    for number, line in enumerate(read_lines(rttms[0], "expected the ground truth"), 1):
        fields = line.split()
        if fields and fields[0] == "LEXEME":
            if len(fields) < 6:
                raise UserError(f"{rttms[0]}:{number}: expected 'LEXEME <document> 1 <start> <seconds> <text> ...'")
            texts.setdefault(fields[5], set()).add(fields[1])
    try:
        terms = xml.etree.ElementTree.parse(lists[0]).getroot().iter("term")
    except xml.etree.ElementTree.ParseError as error:
        raise UserError(f"{lists[0]}: damaged XML ({error}); unpack the corpus again") from None
    return {
        term.get("termid", ""): texts.get(str(term.findtext("termtext") or term.get("termid", "")).strip(), set())
        for term in terms
    }
