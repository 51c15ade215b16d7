import re
from pathlib import Path

import pytest

from embertune.errors import ConfigError, StoreError
from embertune.integrations.address import Address, guarded, parse


def test_libpqs_own_parameters_stay_in_the_place():
    address = parse("postgresql://postgres:@/shop?host=/tmp/pg&table=s.items&column=vec&sslmode=disable")
    assert address.place == "postgresql://postgres:@/shop?host=%2Ftmp%2Fpg&sslmode=disable"
    assert (address.name, address.options) == ("s.items", {"column": "vec"})


@pytest.mark.parametrize(
    ("url", "place", "name", "options"),
    [
        ("chroma:./db#docs", "./db", "docs", {}),
        ("chroma:http://h:8000#docs", "http://h:8000", "docs", {}),
        ("qdrant:https://h:6333#docs?id=key&alias=live", "https://h:6333", "docs", {"id": "key", "alias": "live"}),
        ("faiss:a/b.faiss?ids=c.txt", "a/b.faiss", "", {"ids": "c.txt"}),
        ("postgres://h/d?table=t", "postgresql://h/d", "t", {}),
    ],
)
def test_an_address_is_taken_apart(url, place, name, options):
    address = parse(url)
    assert (address.place, address.name, address.options) == (place, name, options)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://h", "'redis://h' begins with no known vector database. Expected one of:\n  chroma:"),
        ("redis://me:secret@h?x=1", "'redis://***@h' begins with no known vector database."),
        ("qdrant:./db", "The address of a qdrant store misses a part. Expected: qdrant:FOLDER#COLLECTION?id=FIELD"),
        ("chroma:db#docs?id=a", "The address of a chroma store knows no id. Expected: chroma:FOLDER#COLLECTION"),
        ("postgresql://h/d", "The address of a postgresql store misses a part."),
    ],
)
def test_what_is_wrong_with_an_address_is_said(url, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse(url)


@guarded("Test")
class Leaky:
    def __init__(self, address):
        self._address = address

    def fail(self, text):
        raise ValueError(text)

    def walk(self, text):
        yield 1
        raise ValueError(text)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cr%40t/pw@h/d?table=t",
        "postgresql://h/d?user=me&password=s3cr%40t/pw&table=t",
        "qdrant:https://:s3cr%40t/pw@h#docs",
    ],
)
def test_no_password_leaves(url):
    address = parse(url)
    assert "s3cr" not in address.label + repr(address)
    for text in (f"could not parse {address.place}", "no such user me with s3cr@t/pw", "bad s3cr%40t/pw"):
        for fail in (Leaky(address).fail, lambda text: list(Leaky(address).walk(text))):
            with pytest.raises(StoreError, match="Test refused") as caught:
                fail(text)
            assert "s3cr" not in str(caught.value)
            assert caught.value.__cause__ is None


def test_our_own_errors_pass_as_they_are():
    class Mine(Leaky):
        pass

    error = ConfigError("as it is")
    with pytest.raises(ConfigError) as caught:
        list(guarded("Test")(type("T", (), {"walk": lambda self: _raise(error)}))().walk())
    assert caught.value is error


def _raise(error):
    raise error


def test_every_form_is_of_a_store_that_can_be_opened():
    from embertune.integrations.address import KINDS
    from embertune.integrations.stores import _CLASSES

    assert set(KINDS) == set(_CLASSES)
    folder = Path(__file__).parents[2] / "src" / "embertune" / "integrations"
    assert all((folder / f"{each.partition('.')[0]}.py").is_file() for each in _CLASSES.values())
    assert isinstance(parse("faiss:x"), Address)
