"""The recipe of a corpus outside the repository, for tests that make the corpus themselves."""

from collections.abc import Callable
from pathlib import Path

import pytest
from corpus_recipes import CorpusRecipe
from recipe_folders import link_recipe


@pytest.fixture
def corpus_recipe(tmp_path: Path) -> Callable[[str], CorpusRecipe]:
    """corpus_recipe("timit") makes a copy of egs2/timit, in a folder with a space in its name."""
    return lambda corpus: CorpusRecipe(link_recipe(corpus, tmp_path / "a recipe" / corpus))
