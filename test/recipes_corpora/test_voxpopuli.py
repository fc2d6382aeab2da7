"""Recordings and a list of segments as VoxPopuli has them, made here, in; its recipe's tables and two updates out."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus_recipes import CorpusRecipe, write_audio

SESSIONS = ("20190114-0900-PLENARY", "20200615-0900-PLENARY-3", "20150101-0900-PLENARY", "20190301-0900-LIBE")
IN_10K = SESSIONS[:2]


def make_corpus(root: Path, languages: tuple[str, ...] = ("de", "fr")) -> Path:
    """raw_audios/<language>/<year>/<session>_<language>.ogg and the list, which knows a language more."""
    lines = ["event_id\tsegment_no\tstart\tend"]
    for session in SESSIONS:
        for language in (*languages, "en"):
            event = f"{session}_{language}"
            lines += [f"{event}\t{number}\t{0.6 * number}\t{0.6 * number + 0.5}" for number in range(2)]
            if language in languages:
                write_audio(root / "raw_audios" / language / event[:4] / f"{event}.ogg", 1.2)
    (root / "unlabelled_data").mkdir(parents=True)
    with gzip.open(root / "unlabelled_data/unlabelled_v2.tsv.gz", "wt") as stream:
        stream.write("\n".join(lines) + "\n")
    return root


@pytest.fixture
def recipe(corpus_recipe: Callable[[str], CorpusRecipe]) -> CorpusRecipe:
    return corpus_recipe("voxpopuli")


def events(recipe: CorpusRecipe, dset: str) -> set[str]:
    return {line.split()[1] for line in recipe.tables(dset)["utt2spk"]}


def test_segments_of_the_list_are_taken_and_sessions_held_out(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "a corpus")
    recipe.prepare_with_any_nj("--voxpopuli_root", root, "--dev_hours", "0.0006")
    assert recipe.sets() == ["dev", "train"]
    events_of_set = [events(recipe, dset) for dset in recipe.sets()]
    assert events_of_set[0] | events_of_set[1] == {
        f"{session}_{language}" for session in IN_10K for language in ("de", "fr")
    }
    assert [len({event.rsplit("_", 1)[0] for event in part}) for part in events_of_set] == [
        1,
        1,
    ]  # a session is on one side
    both = {name: recipe.tables("dev")[name] + recipe.tables("train")[name] for name in recipe.tables("dev")}
    event = f"{IN_10K[0]}_de"
    assert f"{event}-1 {event} 0.600 1.100" in both["segments"]
    assert f"{event} {root}/raw_audios/de/2019/{event}.ogg" in both["wav.scp"]
    assert f"{event}-0 de" in both["utt2lang"] and len(both["utt2spk"]) == 8


@pytest.mark.parametrize(("subset", "count"), [("10k", 2), ("100k", 3), ("400k", 4)])
def test_subsets_are_chosen_by_day_and_kind(recipe: CorpusRecipe, tmp_path: Path, subset: str, count: int) -> None:
    options = ("--subset", subset, "--languages", "fr", "--dev_hours", "0.0003")
    recipe.prepare("--voxpopuli_root", make_corpus(tmp_path), *options)
    assert len(events(recipe, "train") | events(recipe, "dev")) == count


def test_files_that_were_cut_already_are_utterances(recipe: CorpusRecipe, tmp_path: Path) -> None:
    for session in IN_10K:
        for number in range(2):
            write_audio(tmp_path / "unlabelled_data/da" / session[:4] / f"{session}_da_{number}.ogg", 0.5)
    for path in list(tmp_path.rglob("*_1.ogg")):
        path.rename(path.with_suffix(".OGG"))
    recipe.prepare_with_any_nj("--voxpopuli_root", tmp_path, "--segmented", "true")
    assert "segments" not in recipe.tables("train") and len(recipe.tables("train")["wav.scp"]) == 2
    assert recipe.tables("dev")["utt2lang"][0].endswith("_da-0 da")


def test_a_missing_or_partial_corpus_says_what_was_expected(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "corpus")
    assert "pass --download true" in recipe.refuse(VOXPOPULI="")
    output = recipe.refuse("--voxpopuli_root", root / "raw_audios")
    assert f"expected {root}/raw_audios/raw_audios, " in output and "found de, fr" in output
    assert f"lacks nl; expected {root}/raw_audios/nl" in recipe.refuse("--voxpopuli_root", root, "--languages", "nl")
    (root / f"raw_audios/de/2019/{IN_10K[0]}_de.ogg").unlink()
    output = recipe.refuse("--voxpopuli_root", root)
    assert f"no audio for 1 of the 4 recordings of 10k in de fr: {IN_10K[0]}_de; expected <language>/<year>" in output
    assert not recipe.sets()
    output = recipe.prepare("--voxpopuli_root", root, "--max_missing_share", "0.5", "--dev_hours", "0.0003")
    assert "1 of 4 recordings have no audio" in output and recipe.sets() == ["dev", "train"]


def test_a_list_that_is_damaged_or_another_is_refused(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path)
    listing = root / "unlabelled_data/unlabelled_v2.tsv.gz"
    listing.write_bytes(listing.read_bytes()[:40])
    assert "unlabelled_v2.tsv.gz: damaged" in recipe.refuse("--voxpopuli_root", root)
    listing.write_bytes(gzip.compress(b"session_id|id_|start_time\n"))
    assert "expected the columns event_id segment_no start end" in recipe.refuse("--voxpopuli_root", root)


@pytest.mark.recipes
def test_it_trains(recipe: CorpusRecipe, tmp_path: Path) -> None:
    recipe.train(f"--voxpopuli_root {make_corpus(tmp_path / 'corpus')} --subset 100k --dev_hours 0.0006")
