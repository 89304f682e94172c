"""Mirrors, proxies, certificates and token files, each with a real server."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from hub import proxy as proxy_program
from hub.conftest import NO_PROXIES, World, bundle_bytes
from hub.server import HubServer
from stopping import wait_until

SIZE = 1_200_000
TOKEN = "hf_sEcReTsEcReT"


def world_with(tmp_path: Path, hub: HubServer) -> World:
    """A user of `hub`, which has the bundle o/x and a small file beside it."""
    world = World(tmp_path / "home", hub)
    world.cwd.mkdir(parents=True)
    world.add("o/x", {"x.litertlm": bundle_bytes(SIZE)}, gated="auto")
    hub.allow(TOKEN, "o/x")
    world.environment["HF_TOKEN"] = TOKEN
    return world


def pulled(world: World, **environment: str) -> str:
    """Pull o/x, which must work; stderr."""
    for bundle in world.bundles("o/x"):
        bundle.unlink()
    done = world.run("pull", "o/x", **environment)
    assert done.code == 0, done.err
    (bundle,) = world.bundles("o/x")
    assert world.is_published(bundle, "o/x")
    assert {r.token for r in world.hub.of("cdn")} == {None}
    assert TOKEN not in done.err
    return done.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "hub"
    made.mkdir()
    return made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """An authority of the test's own, and the file with its certificate."""
    made = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(path)
    return made, path


def server_context(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_a_mirror_below_a_path(tmp_path, folder):
    with HubServer(folder, prefix="/mirror/hf") as hub:
        world = world_with(tmp_path, hub)
        pulled(world)
        pulled(world, HF_ENDPOINT=f"{hub.url}/")
        assert world.run("publish", "o/x", "--to", "a/b", "--yes").code == 4  # not o's account
        without = world.run("pull", "o/x", "--reconvert", HF_ENDPOINT=hub.url.replace("/hf", ""))
        assert without.code == 3, without.err
        for wrong in ("not a url", "ftp://127.0.0.1/x", "http://[::1"):
            done = world.run("pull", "o/x", "--reconvert", HF_ENDPOINT=wrong)
            assert done.code == 2, done.err
            assert "HF_ENDPOINT is not a valid URL." in done.err


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_an_authority_of_ones_own(tmp_path, folder, authority, variable):
    made, path = authority
    with HubServer(folder, tls=server_context(made)) as hub:
        world = world_with(tmp_path, hub)
        # The weights come from a host without TLS: the token must not follow there.
        pulled(world, **{"SSL_CERT_FILE": "", variable: str(path)})
        assert {r.token for r in hub.of("resolve")} == {TOKEN}


def test_certificates_that_are_not_trusted(tmp_path, folder, authority):
    made, path = authority
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    with HubServer(folder, tls=server_context(made)) as hub:
        world = world_with(tmp_path, hub)
        for value, code, message in (
            ("", 5, "✗ The certificate of 127.0.0.1 is not trusted.\n\n"),
            (str(stranger), 5, "set SSL_CERT_FILE or\nREQUESTS_CA_BUNDLE"),
            (str(empty), 2, f"SSL_CERT_FILE cannot be used.\n\n{empty} has no certificates in PEM"),
            (str(tmp_path / "none"), 2, "No such file or directory"),
        ):
            done = world.run("pull", "o/x", SSL_CERT_FILE=value)
            assert (done.code, message in done.err) == (code, True), done.err
        assert hub.requests == []
        plain = hub.url.replace("127.0.0.1", "localhost")
        named = world.run("pull", "o/x", SSL_CERT_FILE=str(path), HF_ENDPOINT=plain)
        assert named.code == 5
        assert "localhost" in named.err
        assert "Hostname mismatch" in named.err
    with HubServer(folder) as hub:
        done = world.run("pull", "o/x", HF_ENDPOINT=hub.url.replace("http:", "https:"))
        assert done.code == 5
        assert "No encrypted connection to 127.0.0.1 is possible." in done.err


class Proxy:
    """The proxy as a process of its own."""

    def __init__(self, folder: Path, login: str = "") -> None:
        self.log = folder / f"proxy{login.replace(':', '-')}.log"
        port = self.log.with_suffix(".port")
        arguments = [str(port), str(self.log), *([login] if login else [])]
        self.process = subprocess.Popen(
            [sys.executable, proxy_program.__file__, *arguments], text=True
        )
        wait_until(port.exists, self.process, "the proxy listened")
        self.port = port.read_text()

    def requests(self) -> list[str]:
        """The requests so far, which are forgotten."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return lines


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    made = Proxy(tmp_path)
    yield made
    made.process.kill()
    made.process.wait()


def test_proxies(tmp_path, folder, authority, proxy):
    made, path = authority
    address = f"http://127.0.0.1:{proxy.port}"
    direct = {**dict.fromkeys(NO_PROXIES, ""), "SSL_CERT_FILE": str(path)}
    with HubServer(folder, tls=server_context(made, "hub.test")) as hub:
        world = world_with(tmp_path, hub)
        # This name has no address: without the proxy it cannot be reached.
        endpoint = f"https://hub.test:{hub.port}"
        variables = {**direct, "HF_ENDPOINT": endpoint, "https_proxy": address}
        pulled(world, **variables)
        assert set(proxy.requests()) == {f"CONNECT hub.test:{hub.port}"}
        pulled(world, **{**variables, "http_proxy": address})
        seen = {line.split("?")[0].partition(f":{hub.cdn_port}")[0] for line in proxy.requests()}
        assert seen == {f"CONNECT hub.test:{hub.port}", "GET http://localhost"}
        pulled(world, **{**variables, "http_proxy": address, "no_proxy": "localhost"})
        assert set(proxy.requests()) == {f"CONNECT hub.test:{hub.port}"}

        secret = f"http://user:pAssWord@127.0.0.1:{proxy.port}"
        login = Proxy(tmp_path, "user:pAssWord")
        try:
            refused = f"http://user:wrOng@127.0.0.1:{login.port}"
            done = world.run("pull", "o/x", "--reconvert", **{**variables, "https_proxy": refused})
            assert done.code == 5
            assert "The proxy requires a login." in done.err
            assert "wrOng" not in done.err
            accepted = secret.replace(proxy.port, login.port)
            pulled(world, **{**variables, "https_proxy": accepted})
        finally:
            login.process.kill()
            login.process.wait()
        proxy.process.kill()
        proxy.process.wait()
        gone = world.run("pull", "o/x", "--reconvert", **{**variables, "https_proxy": secret})
        assert gone.code == 5
        assert f"Through the proxy 127.0.0.1:{proxy.port}: " in gone.err
        assert "pAssWord" not in gone.err
        odd = world.run(
            "pull", "o/x", "--reconvert", **{**variables, "https_proxy": "socks5://a:1"}
        )
        assert odd.code == 2
        assert "SOCKS proxies are not supported." in odd.err


def test_token_files(tmp_path, folder):
    with HubServer(folder) as hub:
        world = world_with(tmp_path, hub)
        del world.environment["HF_TOKEN"]
        file = world.cwd / "HF_TOKEN"
        file.write_text(TOKEN)
        file.chmod(0o644)
        warning = f"! Other users of this machine can read the token file {file}."
        assert pulled(world).count(warning) == 1
        twice = world.run("pull", "o/x", "o/x", "--reconvert")
        assert twice.err.count(warning) == 1
        file.chmod(0o600)
        assert "Other users" not in pulled(world)
        file.unlink()
        stored = world.home / "huggingface" / "token"
        stored.mkdir(parents=True)  # root may read every file, but no folder
        done = world.run("pull", "o/x", "--reconvert")
        assert done.code == 4, done.err
        assert f"Cannot read the token file {stored}.\n\nIs a directory\n" in done.err
