"""Forms of other libraries are found by file; users type the names of files."""

import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

import espnet2.formats
from espnet2.formats import find_reader, find_writer, reader_names, writer_names
from espnet2.formats.base import Format, Reader, Writer

READERS = ["espnet", "fairseq", "fairseq2", "huggingface", "s3prl", "torchaudio"]
WRITERS = ["fairseq", "fairseq2", "huggingface", "onnx", "s3prl", "safetensors", "torchaudio"]


def test_users_type_the_names_of_before() -> None:
    assert reader_names() == READERS and writer_names() == WRITERS


def test_what_the_text_of_a_file_says_is_what_its_class_is() -> None:
    for name in {*READERS, *WRITERS}:
        form: Format = find_reader(name) if name in READERS else find_writer(name)
        assert isinstance(form, Reader) == (name in READERS) and isinstance(form, Writer) == (name in WRITERS)
        assert form.title and form.layers and form.other_side


def test_every_reader_has_a_place_of_its_own() -> None:
    orders = [find_reader(name).order for name in READERS]
    assert len(set(orders)) == len(orders)


def test_a_new_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keras.py").write_text("class Keras(Writer):\n    pass\n")
    (tmp_path / "helper.py").write_text("class Helper:\n    pass\n\n\nclass Other(Readers):\n    pass\n")
    monkeypatch.setattr(espnet2.formats, "__file__", str(tmp_path / "__init__.py"))
    espnet2.formats._names.cache_clear()
    try:
        assert writer_names() == ["keras"] and reader_names() == []
    finally:
        espnet2.formats._names.cache_clear()


def test_names_come_without_torch() -> None:
    """A path is found by programs that need no model."""
    code = "import sys, espnet2.models.locate as m; m.reader_names(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
