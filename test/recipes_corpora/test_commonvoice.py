"""Common Voice releases that the test makes in; the recipe's sets, errors and a training out."""

from pathlib import Path

import pytest
from corpus_recipes import CorpusRecipe, write_audio, write_lines
from recipe_folders import contents, refuse

COLUMNS = "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale"


def client(letter: str) -> str:
    """The 128 hexadecimal digits of a contributor."""
    return letter * 128


def row(letter: str, number: int, language: str = "de", sentence: str = "Guten Tag.") -> str:
    """One line of a list."""
    name = f"common_voice_{language}_{number}.mp3"
    return "\t".join([client(letter), name, "f0", sentence, "", "2", "0", "", "", "", "", language, ""])


def write_list(folder: Path, name: str, rows: list[str]) -> None:
    write_lines(folder / f"{name}.tsv", ["\t".join([*COLUMNS.split(), "segment"]), *rows])


def make_release(folder: Path, language: str = "de") -> Path:
    """Write a release: a and b are to train on, c is in dev, d in test; c also spoke clips that other lists have."""
    lists = {
        "train": [row("a", 1, language)],
        "dev": [row("c", 3, language), row("c", 4, language)],
        "test": [row("d", 5, language)],
        "validated": [
            row("a", 1, language, 'Sie sagte: "Ja.\u2028Nein\u00a0\u0007doch.'),
            row("a", 2, language),
            row("c", 3, language),  # in dev
            row("c", 6, language),  # its speaker is in dev
            row("d", 5, language),  # in test
            row("b", 10, language),
        ],
        "other": [row("b", 7, language), row("b", 7, language), row("c", 8, language)],
        "invalidated": [row("b", 9, language)],
    }
    for name, rows in lists.items():
        write_list(folder / language, name, rows)
    for number in range(1, 11):
        write_audio(folder / language / "clips" / f"common_voice_{language}_{number}.mp3", 0.6, 32000, number)
    return folder


def clips(recipe: CorpusRecipe, dset: str) -> list[int]:
    """The numbers of the clips of a set."""
    return sorted(int(line.rsplit("_", 1)[1].removesuffix(".mp3")) for line in recipe.tables(dset)["wav.scp"])


def test_train_has_neither_clips_nor_speakers_of_dev_and_test(corpus_recipe, tmp_path: Path) -> None:
    recipe, release = corpus_recipe("commonvoice"), make_release(tmp_path / "a disk" / "cv-corpus-17.0-2024-03-15")
    output = recipe.prepare("--commonvoice_root", release, "--lang", "de")
    first = contents(recipe.ssl1 / "data")
    recipe.prepare("--commonvoice_root", release, "--lang", "de")
    assert contents(recipe.ssl1 / "data") == first
    assert recipe.sets() == ["dev_de", "test_de", "train_de"]
    assert [clips(recipe, f"{name}_de") for name in ("train", "dev", "test")] == [[1, 2, 7, 10], [3, 4], [5]]
    counts = "left out: 2 are in dev or test, 2 are of speakers of dev or test, 1 are listed twice"
    assert f"de: 4 clips; {counts}" in output
    train = recipe.tables("train_de")
    speaker = f"de_{'a' * 16}"
    assert train["wav.scp"][0] == f"{speaker}-common_voice_de_1 {release}/de/clips/common_voice_de_1.mp3"
    assert train["text"][0] == f'{speaker}-common_voice_de_1 Sie sagte: "Ja. Nein doch.'
    assert train["utt2spk"][0] == f"{speaker}-common_voice_de_1 {speaker}"
    assert train["utt2lang"][0] == f"{speaker}-common_voice_de_1 de"
    assert [line.split()[0] for line in train["spk2utt"]] == [speaker, f"de_{'b' * 16}"]


def test_lists_to_train_on_can_be_chosen(corpus_recipe, tmp_path: Path) -> None:
    recipe, release = corpus_recipe("commonvoice"), make_release(tmp_path / "release")
    recipe.prepare("--commonvoice_root", release / "de", "--lang", "de", "--train_lists", "train,invalidated")
    assert clips(recipe, "train_de") == [1, 9]


def test_several_languages_are_one_set(corpus_recipe, tmp_path: Path) -> None:
    recipe, release = corpus_recipe("commonvoice"), make_release(tmp_path / "cv-corpus-1.0")
    make_release(release, "sv-SE")
    write_list(release / "sv-SE", "dev", [row("a", 3, "sv-SE")])  # a, who trains in German, is in the dev set here
    recipe.prepare("--commonvoice_root", tmp_path, "--lang", "de,sv-SE")
    assert recipe.sets() == ["dev_de_sv-SE", "test_de_sv-SE", "train_de_sv-SE"]
    tables = recipe.tables("train_de_sv-SE")
    assert {line.split()[1] for line in tables["utt2lang"]} == {"de", "sv-SE"}
    assert {line.split()[1].split("_")[1][0] for line in tables["utt2spk"]} == {"b"}


def test_an_early_release_without_suffixes_in_its_lists(corpus_recipe, tmp_path: Path) -> None:
    recipe, release = corpus_recipe("commonvoice"), make_release(tmp_path / "release")
    for path in (release / "de").glob("*.tsv"):
        lines = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n") if line]
        early = ["\t".join([one[0], one[1].removesuffix(".mp3"), one[3], "2", "0", "", "", ""]) for one in lines]
        path.write_text("\r\n".join(early) + "\r\n", encoding="utf-8", newline="")
    recipe.prepare("--commonvoice_root", release, "--lang", "de")
    assert clips(recipe, "train_de") == [1, 2, 7, 10]


def test_missing_clips_stop_it_beyond_a_share(corpus_recipe, tmp_path: Path) -> None:
    recipe, release = corpus_recipe("commonvoice"), make_release(tmp_path / "release")
    (release / "de" / "clips" / "common_voice_de_2.mp3").unlink()
    output = recipe.refuse("--commonvoice_root", release, "--lang", "de")
    assert "clips: 1 of the 4 clips in validated, other.tsv are missing: common_voice_de_2.mp3; unpack" in output
    assert recipe.sets() == []
    recipe.prepare("--commonvoice_root", release, "--lang", "de", "--max_missing_ratio", "0.3")
    assert clips(recipe, "train_de") == [1, 7, 10]


def no_column(release: Path) -> None:
    path = release / "de" / "dev.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace("client_id", "speaker", 1), encoding="utf-8")


DAMAGES = {
    "no list": (lambda release: (release / "de" / "test.tsv").unlink(), "lacks test.tsv; expected"),
    "a list is missing": (lambda release: (release / "de" / "other.tsv").unlink(), "other.tsv; the release is not"),
    "no clips": (lambda release: (release / "de" / "clips").rename(release / "c"), "lacks clips; expected"),
    "no language": (lambda release: (release / "de").rename(release / "da"), "/de, nor "),
    "no column": (no_column, "dev.tsv:1: no column client_id"),
    "cut short": (lambda release: write_list(release / "de", "dev", ["a\tb"]), "dev.tsv:2: 2 columns, expected 13"),
    "not UTF-8": (lambda release: (release / "de" / "dev.tsv").write_bytes(b"\xff\xfe\n"), "dev.tsv: not UTF-8"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_release_is_one_clear_message(corpus_recipe, tmp_path: Path, damage: str) -> None:
    recipe, release = corpus_recipe("commonvoice"), make_release(tmp_path / "release")
    spoil, message = DAMAGES[damage]
    spoil(release)
    output = recipe.refuse("--commonvoice_root", release, "--lang", "de")
    assert message in output, output
    assert recipe.sets() == []


def test_wrong_options_and_a_missing_root_are_named(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("commonvoice")
    assert "where is Common Voice? Pass --commonvoice_root" in recipe.refuse(COMMONVOICE="")
    assert f"no folder {tmp_path}/nowhere" in recipe.refuse("--commonvoice_root", tmp_path / "nowhere")
    root = ["--commonvoice_root", tmp_path]
    assert "--train_lists 'all'" in recipe.refuse(*root, "--train_lists", "all")
    assert "--lang 'de de'" in recipe.refuse(*root, "--lang", "de,de")
    for number in (16, 17):
        (tmp_path / f"cv-corpus-{number}.0" / "de").mkdir(parents=True)
    assert "several releases of de" in recipe.refuse(*root, "--lang", "de")


def test_lang_of_run_sh_names_the_sets(corpus_recipe) -> None:
    recipe = corpus_recipe("commonvoice")
    output = refuse(recipe.ssl1, "./run.sh", "--stage", "3", "--lang", "de,fr", "--stop_stage", "3")
    assert "train_de_fr" in output


@pytest.mark.recipes
def test_mp3_trains(corpus_recipe, tmp_path: Path) -> None:
    recipe, release = corpus_recipe("commonvoice"), make_release(tmp_path / "release")
    recipe.train(f"--commonvoice_root {release}", "--lang", "de")
    lines = (recipe.ssl1 / "dump" / "train_de" / "wav.scp").read_text().splitlines()
    assert len(lines) == 4 and all(line.endswith(".flac") for line in lines)
