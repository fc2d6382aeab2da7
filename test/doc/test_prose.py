"""Sentences of the pages that a newcomer reads: short, one thought each."""

import pytest
from repository import ROOT

MOST_SEMICOLONS = 4  # per 1,000 words
PAGES = ("README.md", "CONTRIBUTING.md", "doc/tutorial.md", "doc/evaluation.md", "doc/objectives.md")


@pytest.mark.parametrize("page", PAGES)
def test_sentences_are_short(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    share = 1000 * text.count(";") / len(text.split())
    assert share < MOST_SEMICOLONS, f"{page}: {share:.1f} semicolons per 1,000 words: make sentences of them"
