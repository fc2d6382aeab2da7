"""Log probabilities and n-gram models written by hand in; texts that a beam search must prefer out, and bad files."""

import math
import sys
from pathlib import Path

import pytest
import torch

from espnet2.finetune.beam import BINARY, BeamConfig, BeamDecoder, arpa_words
from espnet2.text.ctc import CtcTokens
from espnet2.text.tokenizer import SPACE, make_tokenizer
from espnet2.utils.errors import UserError

HAS_ENGINE = sys.version_info < (3, 13)  # flashlight-text has no newer wheels: elsewhere it must be there
needs_engine = pytest.mark.skipif(not HAS_ENGINE, reason="flashlight-text has no wheel for Python 3.13 and newer")
ARPA = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-99\t<s>\t0
-1\t</s>
-1\t<unk>
{first}\tab\t0
{second}\tba\t0

\\2-grams:
-0.3\t<s> ab
-0.3\tab ba
-0.3\tba </s>

\\end\\
"""


@pytest.fixture
def tokens() -> CtcTokens:
    return CtcTokens([SPACE, "a", "b"], make_tokenizer("char"), "char")


def arpa(folder: Path, first: float = -0.5, second: float = -0.5) -> Path:
    path = folder / "words.arpa"
    path.write_text(ARPA.format(first=first, second=second))
    return path


def log_probs(tokens: CtcTokens, *frames: dict[str, float]) -> torch.Tensor:
    """(1, frames, symbols): what is not named shares the rest."""
    rows = []
    for frame in frames:
        rest = (1 - sum(frame.values())) / (len(tokens.symbols) - len(frame))
        rows.append([math.log(frame.get(symbol, rest)) for symbol in tokens.symbols])
    return torch.tensor([rows])


@needs_engine
def test_the_search_adds_up_the_ways_to_spell_a_text(tokens):
    """Graves et al. 2006, section 3.2: one frame of a blank is the likeliest path, but "a" the likeliest text."""
    scores = log_probs(tokens, {"<blank>": 0.5, "a": 0.45}, {"<blank>": 0.5, "a": 0.45})
    assert tokens.decode(scores[0].argmax(-1).tolist()) == ""
    assert BeamDecoder.open(BeamConfig(), tokens, ())(scores, torch.tensor([2])) == ["a"]
    assert BeamDecoder.open(BeamConfig(), tokens, ())(scores, torch.tensor([0])) == [""]


@needs_engine
def test_words_of_the_model_win_over_letters_that_are_a_little_likelier(tokens, tmp_path):
    frames = [{"a": 0.9}, {"a": 0.5, "b": 0.4}, {SPACE: 0.9}, {"b": 0.9}, {"a": 0.9}]
    scores = log_probs(tokens, *frames)
    assert tokens.decode(scores[0].argmax(-1).tolist()) == "a ba"
    decoder = BeamDecoder.open(BeamConfig(lm=arpa(tmp_path)), tokens, ())
    assert decoder(scores, torch.tensor([5])) == ["ab ba"]


@needs_engine
def test_the_model_decides_between_two_words(tokens, tmp_path):
    scores = log_probs(tokens, {"a": 0.48, "b": 0.46}, {"a": 0.46, "b": 0.48})
    for first, second, expected in ((-0.1, -3.0, "ab"), (-3.0, -0.1, "ba")):
        path = arpa(tmp_path, first, second)
        path.write_text(path.read_text().replace("-0.3\t<s> ab\n", "").replace("ngram 2=3", "ngram 2=2"))
        decoder = BeamDecoder.open(BeamConfig(lm=path), tokens, ())
        assert decoder(scores, torch.tensor([2])) == [expected]


@needs_engine
def test_phones_need_no_lexicon(tmp_path):
    phones = CtcTokens(["ab", "ba"], make_tokenizer("phn"), "phn")
    decoder = BeamDecoder.open(BeamConfig(lm=arpa(tmp_path)), phones, ())
    assert decoder(log_probs(phones, {"ab": 0.9}, {"<blank>": 0.9}, {"ba": 0.9}), torch.tensor([3])) == ["ab ba"]


def test_words_of_an_arpa_file(tmp_path):
    assert list(arpa_words(arpa(tmp_path))) == ["ab", "ba"]


def test_mistakes(tokens, tmp_path, monkeypatch):
    if HAS_ENGINE:
        with pytest.raises(UserError, match="no such file; expected an ARPA file"):
            BeamDecoder.open(BeamConfig(lm=tmp_path / "gone.arpa"), tokens, ())
        path = arpa(tmp_path)
        path.write_text(path.read_text().replace("ab", "xy").replace("ba", "yx"))
        with pytest.raises(UserError, match="spell none of its 2 words"):
            BeamDecoder.open(BeamConfig(lm=path), tokens, ())
        path = arpa(tmp_path)
        path.write_text(path.read_text()[:-40])
        with pytest.raises(UserError, match="no n-gram model that KenLM reads"):
            BeamDecoder.open(BeamConfig(lm=path), tokens, ())
        path.write_bytes(BINARY + b" cut short")
        with pytest.raises(UserError, match="no n-gram model that KenLM reads"):
            BeamDecoder.open(BeamConfig(lm=path), tokens, ["ab"])
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(UserError, match="neither an ARPA file"):
            BeamDecoder.open(BeamConfig(lm=path), tokens, ())
    monkeypatch.setitem(sys.modules, "torchaudio.models.decoder", None)
    with pytest.raises(UserError, match=r"pip install 'espnet2-ssl\[decode\]'"):
        BeamDecoder.open(BeamConfig(), tokens, ())
