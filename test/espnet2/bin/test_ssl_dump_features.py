"""The two command lines of ssl_dump_features in, the program that reads each of them out."""

import sys

import pytest
from tiny_units import run_program

import espnet2.bin.ssl_sample_features as sample_features


def text_of(capsys: pytest.CaptureFixture, *words: str) -> str:
    """What the program prints before it exits."""
    with pytest.raises(SystemExit):
        run_program("ssl_dump_features", *words)
    return "".join(capsys.readouterr())


def test_help_tells_both(capsys):
    text = text_of(capsys, "--help")
    usage = text[: text.index("positional arguments")]
    assert "data_dir output_dir" in usage and "ssl_dump_features --dump_sets SETS --output_dir OUTPUT_DIR" in usage
    assert "ssl_sample_features" in text and "ssl_dump_features --dump_sets SETS --help" in " ".join(text.split())


def test_the_help_of_the_second_form_is_that_of_its_program(capsys):
    text = text_of(capsys, "--dump_sets", "dump/train", "--help")
    assert "--portion" in text and "data_dir" not in text
    assert text_of(capsys, "--help", "--dump_sets=dump/train") == text


@pytest.mark.parametrize(
    "words",
    [
        ("--dump_sets", "dump/train", "--output_dir", "out"),
        ("--feature", "mfcc", "--layer", "0", "--output_dir", "out", "--dump_sets=dump/train"),
    ],
)
def test_the_second_form_is_handed_on_as_it_was_typed(monkeypatch, words):
    handed = []
    monkeypatch.setattr(sample_features, "main", lambda: handed.append(sys.argv[1:]))
    run_program("ssl_dump_features", *words)
    assert handed == [list(words)]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((), "required: --model, data_dir, output_dir"),
        (("--model", "exp/dump_sets", "--dump_set", "a", "data", "out"), "unrecognized arguments: --dump_set"),
        (("--dump_sets",), "argument --dump_sets: expected one argument"),
        (("--dump_sets", "dump/train"), "required: --output_dir"),
        (
            ("--dump_sets", "dump/train", "--output_dir", "out", "--format", "npy"),
            "unrecognized arguments: --format npy",
        ),
    ],
)
def test_mistakes_are_those_of_the_form_that_was_typed(capsys, words, error):
    assert error in text_of(capsys, *words)
