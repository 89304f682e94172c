"""Requests to the Hub: token, deadlines, retries, and errors that a user understands."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from huggingface_hub import __version__ as hub_version
from huggingface_hub import constants, get_session

from litertlm import __version__
from litertlm.errors import LiteRtLmError, NetworkError
from litertlm.hub.failures import (
    RETRIED_STATUS,
    Refusal,
    Transient,
    Unreachable,
    bad_token_error,
    gated_error,
    offline_error,
    refusal_error,
)
from litertlm.hub.pace import MIN_SPEED, WINDOW_S, read_min_speed
from litertlm.hub.session import (
    CONNECT_SECONDS,
    host_of,
    network_errors,
    proxy_login_error,
    set_up_sessions,
)
from litertlm.hub.token import Token, find_token
from litertlm.progress import Progress

METADATA_SECONDS = 30.0  # for a complete small answer
METADATA_LIMIT = 64 << 20  # bytes; the largest ones of sharded models are below 10 MB
TRIES = 5  # in a row, without a byte of progress
LONGEST_WAIT = 300.0  # seconds, as long as the Hub's rate limits
ERROR_BODY_LIMIT = 64 << 10
_CONTENT_RANGE = re.compile(r"bytes +(\d{1,19})-(\d{1,19})/(?:\d{1,19}|\*)", re.A | re.I)

_T = TypeVar("_T")


@dataclass(frozen=True)
class HubClient:
    """The Hub, with one user's token.

    Attributes:
        token: sent to the Hub's own host only.
        progress: gets messages about waits and retries.
        sleep: takes seconds.
        min_speed, slow_window_s: of the download of a file; see `Pace`.
    """

    token: Token | None
    progress: Progress
    sleep: Callable[[float], object] = time.sleep
    min_speed: int = MIN_SPEED
    slow_window_s: float = WINDOW_S

    @property
    def endpoint(self) -> str:
        """`HF_ENDPOINT`, without a trailing slash."""
        return constants.ENDPOINT

    def info_json(self, repo: str, revision: str | None) -> Any:
        """The Hub's description of a repository, files with sizes and hashes included."""
        path = f"/api/models/{quote(repo)}"
        if revision is not None:
            path += f"/revision/{quote(revision, safe='')}"
        body = self._small(repo, revision, f"{self.endpoint}{path}?blobs=true")
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise NetworkError(
                f"{host_of(self.endpoint)} does not answer like a Hugging Face Hub.",
                hint="Check HF_ENDPOINT, and proxies that ask for a login.",
            ) from error

    def read(self, repo: str, commit: str, path: str, *, first: int | None = None) -> bytes:
        """A small file's content, or the `first` bytes of a large one."""
        return self._small(repo, commit, self.file_url(repo, commit, path), first=first)

    def check_access(self, repo: str, commit: str, path: str) -> None:
        """Check whether a file may be downloaded, without downloading it.

        Raises:
            GatedModel, AccessDenied: it may not.
        """
        url = self.file_url(repo, commit, path)
        self._retrying(lambda: self._bounded(lambda: self._head(repo, commit, url)))

    def file_url(self, repo: str, commit: str, path: str) -> str:
        """The address of a file at a commit."""
        return f"{self.endpoint}/{quote(repo)}/resolve/{quote(commit, safe='')}/{quote(path)}"

    @contextlib.contextmanager
    def open_stream(
        self, repo: str, revision: str | None, url: str, *, start: int = 0, end: int | None = None
    ) -> Iterator[httpx2.Response]:
        """The response to one GET with an unread body, from byte `start` (to `end`, exclusive).

        Raises:
            Transient: a retry may succeed; with other errors it does not.
        """
        headers = self._headers()
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        with (
            network_errors(self.endpoint),
            get_session().stream("GET", url, headers=headers, timeout=_timeout()) as response,
        ):
            self._check(repo, revision, response)
            _check_range(repo, response, start, end)
            yield response

    def _headers(self) -> dict[str, str]:
        headers = {
            "User-Agent": f"litert-lm-cli/{__version__} hf_hub/{hub_version}",
            # Without compression, so that ranges and sizes are those of the file.
            "Accept-Encoding": "identity",
        }
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.value}"
        return headers

    def _head(self, repo: str, commit: str, url: str) -> None:
        with network_errors(self.endpoint):
            response = get_session().head(
                url, headers=self._headers(), timeout=_timeout(), follow_redirects=False
            )
            self._check(repo, commit, response)

    def _small(
        self, repo: str, revision: str | None, url: str, *, first: int | None = None
    ) -> bytes:
        """The body of a small response, or the `first` bytes of a large one."""
        most = METADATA_LIMIT if first is None else first

        def get() -> bytes:
            body = bytearray()
            with self.open_stream(repo, revision, url, end=first) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > most:
                        break
            if first is None and len(body) > most:
                raise NetworkError(
                    f"Refused the metadata of {repo}: it is too large.",
                    why=f"{host_of(url)} sent more than {most >> 20} MB.",
                )
            return bytes(body[:most])

        return self._retrying(lambda: self._bounded(get))

    def _bounded(self, request: Callable[[], _T]) -> _T:
        """`request()` with a deadline of METADATA_SECONDS.

        The timeouts of a connection are per address and per packet: a host name with eight
        unreachable addresses, or a body of one byte per second, exceeds none of them.
        """
        results: list[_T] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                results.append(request())
            except BaseException as error:  # noqa: BLE001 - raised again below
                errors.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(METADATA_SECONDS)
        if errors:
            raise errors[0]
        if not results:
            raise NetworkError(
                f"{host_of(self.endpoint)} does not answer.",
                why=f"No complete response within {METADATA_SECONDS:.0f} seconds.",
            )
        return results[0]

    def _retrying(self, request: Callable[[], _T]) -> _T:
        for tried in range(1, TRIES + 1):
            try:
                return request()
            except Unreachable as failure:
                raise failure.error from failure
            except Transient as failure:
                self.pause(failure, tried)
        raise AssertionError("pause() raises at the last try")

    def pause(self, failure: Transient, tried: int) -> None:
        """Wait before try number `tried` + 1.

        Raises:
            NetworkError: that was the last try, or the server asks for too long a wait.
        """
        wait = min(2.0 ** (tried - 2), 8.0) if failure.wait is None else failure.wait
        if tried >= TRIES or wait > LONGEST_WAIT:
            raise failure.error
        with self.progress.waiting(failure.error.what, wait, requested=bool(failure.wait)):
            self.sleep(wait)

    def _check(self, repo: str, revision: str | None, response: httpx2.Response) -> None:
        """Raise the error for an error status."""
        status = response.status_code
        if status < 400:
            return
        message = response.headers.get("X-Error-Message", "") or _body_message(response)
        if self.token is not None:  # in case a server echoes it
            message = message.replace(self.token.value, "<token>")
        code = response.headers.get("X-Error-Code", "")
        refusal = Refusal(status, code, _one_line(message), response.url.path)
        error = NetworkError(
            f"{host_of(str(response.url))} answered {status} {response.reason_phrase}.",
            why=refusal.message,
            hint="The server is overloaded or has an error: try again later.",
        )
        if status == 407:
            raise proxy_login_error()
        if status in RETRIED_STATUS:
            raise Transient(error, _seconds_to_wait(response.headers))
        if not code and response.url.netloc != httpx2.URL(self.endpoint).netloc:
            raise error  # from a host that the Hub redirected to
        raise self._refused(repo, revision, refusal)

    def _refused(self, repo: str, revision: str | None, refusal: Refusal) -> LiteRtLmError:
        if self.token is not None and (refusal.is_bad_token or not self._token_is_good(refusal)):
            return bad_token_error(self.token)
        if refusal.is_gated:
            return gated_error(repo, self.token, refusal.message)
        return refusal_error(repo, revision, refusal, self.token)

    def _token_is_good(self, refusal: Refusal) -> bool:
        """Whether the Hub accepts the token; requested only after status 401."""
        return refusal.status != 401 or self._whoami() != 401

    def whoami_status(self) -> int:
        """The status of the answer to the question whose token this is: 200, or 401 without an
        accepted token.

        Raises:
            NetworkError: there is no answer.
        """
        return self._retrying(lambda: self._bounded(self._whoami))

    def _whoami(self) -> int:
        url = f"{self.endpoint}/api/whoami-v2"
        with (
            network_errors(self.endpoint),
            get_session().stream("GET", url, headers=self._headers(), timeout=_timeout()) as answer,
        ):
            return int(answer.status_code)


def open_client(
    environment: Mapping[str, str], cwd: Path, progress: Progress, *, given: str | None = None
) -> HubClient:
    """The Hub for this user; `--verbose` shows the source of the token.

    Args:
        given: a token that the user gave with the command.

    Raises:
        NetworkError: `HF_HUB_OFFLINE` forbids the network.
        AccessDenied: a token file cannot be used.
    """
    if constants.is_offline_mode():
        raise offline_error()
    set_up_sessions(environment)
    token = find_token(environment, cwd, given=given)
    if token is not None and token.readable_by_others:
        progress.warn(
            f"Other users of this machine can read the token file {token.path}. "
            f"To prevent it: chmod 600 {shlex.quote(str(token.path))}"
        )
    progress.detail(
        "No Hugging Face token found." if token is None else f"Token: from {token.source}."
    )
    if environment.get("HF_ENDPOINT"):
        progress.detail(f"Hub: {host_of(constants.ENDPOINT)} (HF_ENDPOINT).")
    return HubClient(token, progress, min_speed=read_min_speed(environment))


def _timeout() -> httpx2.Timeout:
    return httpx2.Timeout(constants.HF_HUB_DOWNLOAD_TIMEOUT, connect=CONNECT_SECONDS)


def _check_range(repo: str, response: httpx2.Response, start: int, end: int | None) -> None:
    """Check that a 206 is the requested range, or its beginning (RFC 9110, 15.3.7).

    Raises:
        NetworkError: it is another range, or has none (`multipart/byteranges`).
    """
    if response.status_code != 206:
        return
    header = response.headers.get("Content-Range", "")
    found = _CONTENT_RANGE.fullmatch(header.strip())
    if found and int(found[1]) == start and (end is None or int(found[2]) < end):
        return
    wanted = f"{start}-{'' if end is None else end - 1}"
    raise NetworkError(
        f"The server of {repo} sent a wrong part of a file.",
        why=f"Bytes {wanted} were requested; Content-Range is {_one_line(header)!r}.",
        hint="A proxy or a mirror may be at fault: check HF_ENDPOINT and HTTPS_PROXY.",
    )


def _seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """The wait that the server asks for: the Hub's `RateLimit: "api";r=0;t=55` (no requests left
    for 55 seconds; an IETF draft), or `Retry-After`, in seconds or as a date (RFC 9110)."""
    if limit := re.search(r"\br=0\b.*\bt=(\d+)", headers.get("RateLimit", "")):
        return float(limit[1])
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    # By the server's clock if it sends the time: this machine's clock may be wrong.
    now = datetime.now(timezone.utc)
    with contextlib.suppress(ValueError):
        now = parsedate_to_datetime(headers.get("Date", ""))
    if (when.tzinfo is None) != (now.tzinfo is None):
        return None
    return max(0.0, (when - now).total_seconds())


def _body_message(response: httpx2.Response) -> str:
    """The `error` of a JSON body of at most ERROR_BODY_LIMIT bytes."""
    if response.is_closed:  # the answer to a HEAD
        return ""
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > ERROR_BODY_LIMIT:
            return ""
    try:
        message = json.loads(body).get("error", "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return message if isinstance(message, str) else ""


def _one_line(text: str) -> str:
    """A server's text, made safe for a terminal."""
    return "".join(c if c.isprintable() else " " for c in text[:500]).strip()
