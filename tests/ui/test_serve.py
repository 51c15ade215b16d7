"""Who may open the workbench."""

from __future__ import annotations

import re
import socket

import pytest

from embertune.errors import ConfigError
from embertune.ui.serve import AUTH_VARIABLE, _check_port, _checker, read_auth


def test_on_this_machine_alone_no_password_is_needed(monkeypatch):
    monkeypatch.delenv(AUTH_VARIABLE, raising=False)
    assert read_auth(None, "127.0.0.1") is None
    assert read_auth(None, "localhost") is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::"])
def test_where_others_can_reach_it_a_password_is_demanded(monkeypatch, host):
    monkeypatch.delenv(AUTH_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match=re.escape(f"At {host} everyone who can reach this machine")):
        read_auth(None, host)
    monkeypatch.setenv(AUTH_VARIABLE, "ann:pass:word")
    assert read_auth(None, host) == ("ann", "pass:word")


@pytest.mark.parametrize("told", ["ann", "ann:", ":word"])
def test_half_a_password_is_refused_and_not_repeated(told):
    with pytest.raises(ConfigError) as caught:
        read_auth(told, "127.0.0.1")
    assert str(caught.value) == f"The password is not USER:PASSWORD. Type: export {AUTH_VARIABLE}=me:a-long-password"


def test_both_user_and_password_must_be_right():
    check = _checker(("ann", "wörd"))
    assert [check(*each) for each in (("ann", "wörd"), ("ann", "word"), ("bob", "wörd"), ("", ""))] == [
        True, False, False, False,
    ]  # fmt: skip
    assert _checker(None) is None


def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=re.escape(f"Name another port: embertune ui --port {port + 1}")):
            _check_port("127.0.0.1", port)
