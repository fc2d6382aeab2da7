"""Token list files in, ids or one clear error out."""

import pytest

from espnet2.text.token_list import identity_token_list, read_token_list, write_token_list
from espnet2.utils.errors import UserError


def test_the_special_symbols_of_an_espnet_list_get_no_ids(tmp_path) -> None:
    path = tmp_path / "tokens.txt"
    path.write_text("<blank>\n<unk>\n17\n3\n0\n<sos/eos>\n")
    tokens = read_token_list(path)
    assert tokens.num_classes == 3
    assert tokens.ids == {"17": 0, "3": 1, "0": 2}  # the order of the list, not the numbers
    assert tokens.specials == ("<blank>", "<unk>", "<sos/eos>")
    assert not tokens.is_identity


def test_a_list_of_cluster_numbers_is_the_identity(tmp_path) -> None:
    path = tmp_path / "tokens.txt"
    write_token_list(path, map(str, range(500)))
    tokens = read_token_list(path)
    assert tokens.is_identity and tokens.num_classes == 500 and tokens.ids["499"] == 499
    assert tokens.hash == identity_token_list(500).hash != identity_token_list(499).hash


def test_specials_are_written_where_espnet_expects_them(tmp_path) -> None:
    write_token_list(tmp_path / "new" / "tokens.txt", ["a", "<unk>", "b"], specials=True)
    assert (tmp_path / "new" / "tokens.txt").read_text() == "<blank>\n<unk>\na\nb\n<sos/eos>\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\na\n", "tokens.txt:3: 'a' is also on line 1"),
        (b"a\r\nb\r\n", "tokens.txt:1: line ends in CR LF"),
        (b"a 0\nb 1\n", "tokens.txt:1: 'a 0' holds white space"),
        (b"a\n\nb\n", "tokens.txt:2: empty line"),
        (b"a\n\xff\n", "tokens.txt:2: not UTF-8"),
        (b"<blank>\n<unk>\n<sos/eos>\n", "no symbols"),
        (b"", "no symbols"),
    ],
)
def test_a_bad_list_is_refused(tmp_path, content: bytes, message: str) -> None:
    path = tmp_path / "tokens.txt"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_token_list(path)
    assert message in str(error.value)


def test_a_missing_list_or_a_folder_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="no such token list"):
        read_token_list(tmp_path / "absent.txt")
    with pytest.raises(UserError, match="is a folder"):
        read_token_list(tmp_path)
