import pytest

from embertune.data.texts import is_broken, normalize_text, shortened


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How old is it?", "  how   OLD is it "),
        ("What's a “list”?", "whats a list"),
        ("ﬁle names", "file names"),
        ("Straße", "STRASSE"),
        ("什么是列表？", "什么是列表?"),
        ("cafe\u0301", "CAFÉ"),
        ("well-known", "well known"),
        ("a — b…", "a b"),
    ],
)
def test_equal_questions(one, other):
    assert normalize_text(one) == normalize_text(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("C++", "C"), ("C#", "C++"), ("a/b", "a b"), ("5%", "5"), ("???", "!"), ("की", "का"), ("3 + 4", "3 4")],
)
def test_different_questions(one, other):
    assert normalize_text(one) != normalize_text(other)


def test_quotes_stay_on_one_line_and_end_where_they_were_cut():
    assert shortened("a\n b\t c") == "a b c"
    assert shortened("x" * 60) == "x" * 60
    assert shortened("x" * 61) == "x" * 60 + "…"


def test_half_a_surrogate_pair_is_broken_and_a_whole_one_is_not():
    assert [is_broken(text) for text in ("\ud83d", "a\udc00b", "\U0001f600", "é", "")] == [True, True] + 3 * [False]
