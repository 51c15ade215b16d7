import pytest

from embertune.data.texts import normalize_text


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
