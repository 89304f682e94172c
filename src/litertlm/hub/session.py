"""The HTTP client: proxies, certificates, and errors of connections."""

from __future__ import annotations

import contextlib
import functools
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
from huggingface_hub import set_client_factory

from litertlm.errors import NetworkError, UsageError
from litertlm.hub.failures import Transient, Unreachable

CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 120.0  # of requests that do not set their own limit: commits of uploads
# Each may name a file or a folder with certificates of authorities in PEM form.
CERTIFICATE_VARIABLES = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
_PROXY_VARIABLES = "HTTPS_PROXY, HTTP_PROXY and NO_PROXY"


def set_up_sessions(environment: Mapping[str, str]) -> None:
    """Make the HTTP client of this process trust the authorities that the environment names: those
    of all CERTIFICATE_VARIABLES, or else the system's.

    Raises:
        UsageError: a variable names something that cannot be used, or the proxy cannot.
    """
    _set_up(tuple((n, value) for n in CERTIFICATE_VARIABLES if (value := environment.get(n))))


@functools.cache  # another client would close the connections of the first
def _set_up(named: tuple[tuple[str, str], ...]) -> None:
    verify: ssl.SSLContext | bool = True
    if named:
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for variable, value in named:
            _load(verify, variable, Path(value).expanduser())

    def make() -> httpx2.Client:
        try:
            return httpx2.Client(
                follow_redirects=True,
                timeout=httpx2.Timeout(_ANSWER_SECONDS, connect=CONNECT_SECONDS),
                verify=verify,
            )
        except (ImportError, ValueError, httpx2.InvalidURL) as error:  # socks, or no URL at all
            raise UsageError(
                "The proxy cannot be used.",
                why=f"{_PROXY_VARIABLES} must have URLs such as http://host:port.",
                hint="SOCKS proxies are not supported.",
            ) from error

    set_client_factory(make)


def _load(context: ssl.SSLContext, variable: str, path: Path) -> None:
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        why = f"{path} has no certificates in PEM form."
        raise UsageError(f"{variable} cannot be used.", why=why) from error
    except OSError as error:
        why = f"{error.strerror}: {path}"
        raise UsageError(f"{variable} cannot be used.", why=why) from error


def host_of(url: str) -> str:
    """The host in `url`, without the rest, which may contain a signature or a password."""
    return urlsplit(url).hostname or "the Hub"


def proxy_login_error() -> NetworkError:
    """The proxy answers 407."""
    return NetworkError(
        "The proxy requires a login.",
        hint="Set HTTPS_PROXY or HTTP_PROXY to http://USER:PASSWORD@HOST:PORT.",
    )


@contextlib.contextmanager
def network_errors(endpoint: str) -> Iterator[None]:
    """Turn the HTTP client's errors into Transient (retried) or NetworkError (not retried)."""
    try:
        yield
    except httpx2.InvalidURL as error:
        raise UsageError(
            "HF_ENDPOINT is not a valid URL.", why=str(error).replace(endpoint, "...")
        ) from error
    except httpx2.HTTPError as error:
        raise _network_error(error, endpoint) from error


def _network_error(error: httpx2.HTTPError, endpoint: str) -> Exception:
    url = _requested(error, endpoint)
    host, proxy = host_of(url), _proxy_of(url)
    match error:
        case httpx2.ProxyError() if "407" in str(error):
            return proxy_login_error()
        case httpx2.ProxyError():
            return NetworkError(
                f"The proxy does not allow a connection to {host}.",
                why=f"{proxy or 'The proxy'}: {error}",
                hint=f"Check the variables {_PROXY_VARIABLES}.",
            )
        case httpx2.TooManyRedirects():
            return NetworkError(f"Too many redirects from {host}.")
        case httpx2.ConnectError() if problem := _tls_problem(error):
            return _tls_error(problem, host)
        case httpx2.ConnectError() | httpx2.TimeoutException():
            through = f"Through the proxy {proxy}: " if proxy else ""
            return Unreachable(
                NetworkError(
                    f"Cannot reach {host}.",
                    why=f"{through}{error or 'Timeout.'}",
                    hint="Check the network connection and the proxy settings (HTTPS_PROXY).\n"
                    "Models on disk run without a network.",
                )
            )
        case httpx2.NetworkError() | httpx2.RemoteProtocolError():
            failure = NetworkError(f"The connection to {host} was interrupted.", why=str(error))
            return Transient(failure)
    return NetworkError(f"The request to {host} failed.", why=str(error))


def _requested(error: httpx2.HTTPError, endpoint: str) -> str:
    try:
        return str(error.request.url)  # maybe of a host that the Hub redirected to
    except RuntimeError:  # not known
        return endpoint


def _tls_problem(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error behind `error`, if there is one."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _tls_error(problem: ssl.SSLError, host: str) -> NetworkError:
    if isinstance(problem, ssl.SSLCertVerificationError):
        return NetworkError(
            f"The certificate of {host} is not trusted.",
            why=f"{problem.verify_message.rstrip('.').capitalize()}.",
            hint="If your network has its own certificate authority, set SSL_CERT_FILE or\n"
            "REQUESTS_CA_BUNDLE to the file with its certificate (PEM).",
        )
    return NetworkError(
        f"No encrypted connection to {host} is possible.",
        why=problem.reason or str(problem),
        hint="Check HF_ENDPOINT (https or http?) and the proxy settings.",
    )


def _proxy_of(url: str) -> str | None:
    """Host and port of the proxy for `url`, without a password; None if there is none."""
    parts = urlsplit(url)
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or proxy_bypass(parts.netloc):
        return None
    proxy = urlsplit(found if "://" in found else f"http://{found}")
    return f"{proxy.hostname}:{proxy.port}" if proxy.port else proxy.hostname
