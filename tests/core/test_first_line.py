import pytest

from embertune.core.first_line import first_line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("one\ntwo"), "one"),
        (OSError("\n  one  \n"), "one"),
        (OSError(2, "gone"), "[Errno 2] gone"),
        (ValueError(), "ValueError"),
        (ValueError(" \n"), "ValueError"),
    ],
)
def test_an_error_of_another_library_is_told_on_one_line(error, said):
    assert first_line(error) == said
