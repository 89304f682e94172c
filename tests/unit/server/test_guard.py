"""Which requests the server refuses before it reads them."""

from __future__ import annotations

import pytest

from litertlm.server.errors import ApiError
from litertlm.server.guard import Guard, is_loopback


def status(guard: Guard, path: str = "/v1/models", **headers: str) -> int:
    given = {"host": "127.0.0.1:11435", **{k.replace("_", "-"): v for k, v in headers.items()}}
    try:
        guard.check(path, given)
    except ApiError as error:
        return error.status
    return 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:11435", "[::1]:80", "a.localhost"])
def test_hosts_of_this_machine(host: str) -> None:
    assert status(Guard("127.0.0.1"), host=host) == 200


@pytest.mark.parametrize("host", ["evil.com", "127.0.0.1.evil.com", "localhost.evil.com", "", "[x"])
def test_names_of_other_hosts_are_refused(host: str) -> None:
    assert status(Guard("127.0.0.1"), host=host) == 403


def test_with_a_key_a_proxy_may_use_any_name() -> None:
    guard = Guard("0.0.0.0", "secret")
    assert status(guard, host="models.example", authorization="Bearer secret") == 200
    assert status(guard, host="models.example") == 401


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://127.0.0.1:11435", 200),
        ("http://127.0.0.1:9", 403),
        ("https://evil.com", 403),
        ("null", 403),
        ("https://app.example", 200),
    ],
)
def test_origins(origin: str, expected: int) -> None:
    guard = Guard("127.0.0.1", origins=frozenset({"https://app.example"}))
    assert status(guard, origin=origin) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 401),
        ({"authorization": "Bearer secret"}, 200),
        ({"authorization": "bearer  secret"}, 200),
        ({"x_api_key": "secret"}, 200),
        ({"authorization": "Bearer secre"}, 401),
        ({"authorization": "Basic secret"}, 401),
        ({"x_api_key": "s\xe9cret"}, 401),
    ],
)
def test_keys(headers: dict[str, str], expected: int) -> None:
    assert status(Guard("127.0.0.1", "secret"), **headers) == expected


@pytest.mark.parametrize("path", ["/health", "/", "/page/app.js"])
def test_health_and_the_files_of_the_page_need_no_key(path: str) -> None:
    assert status(Guard("127.0.0.1", "secret"), path=path) == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "::ffff:127.0.0.1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_who_may_change_models() -> None:
    assert Guard("127.0.0.1").may_change("127.0.0.1")
    assert not Guard("0.0.0.0").may_change("192.168.1.2")
    assert not Guard("0.0.0.0").may_change(None)
    assert Guard("0.0.0.0", "secret").may_change("192.168.1.2")
