from __future__ import annotations

from itertools import pairwise

import pytest

from embertune.core.refusals import is_loopback, refused_address


class URL:
    scheme, netloc = "http", b"10.0.0.7:8080"


class Request:
    url = URL


class Client(Exception):
    request = Request


class Wrapper(Exception):
    class request:
        class url:
            scheme, netloc = "https", b"invented.example"


class Bare(Exception):
    @property
    def request(self):
        raise RuntimeError("no request was set")


def chain(*errors):
    for outer, inner in pairwise(errors):
        outer.__cause__ = inner
    return errors[0]


def test_the_deepest_request_is_the_one_that_was_sent():
    error = chain(Wrapper(), Bare(), Client(), ConnectionRefusedError())
    assert refused_address(error, "given") == "http://10.0.0.7:8080"
    assert refused_address(chain(Bare(), ConnectionRefusedError()), "given") == "given"


def test_other_errors_are_no_refusals():
    assert refused_address(chain(Client(), TimeoutError()), "given") is None


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://127.9.9.9", True),
        ("http://LOCALHOST", True),
        ("http://my.localhost:80", True),
        ("http://[::1]:8080", True),
        ("http://0.0.0.0:8080", True),
        ("http://192.168.0.7:8080", False),
        ("http://localhost.example.com", False),
        ("http://[broken", False),
        ("openai/text-embedding-3-small", False),
        ("", False),
    ],
)
def test_loopback(address, local):
    assert is_loopback(address) is local
