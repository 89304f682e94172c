"""Upload files to a repository of the user's own, in one commit."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils.tqdm import disable_progress_bars

from litertlm.errors import AccessDenied, LiteRtLmError, NetworkError, UsageError
from litertlm.hub.client import HubClient
from litertlm.hub.failures import Transient, bad_token_error
from litertlm.hub.session import network_errors
from litertlm.hub.token import HOW_TO_SET_TOKEN, TOKEN_PAGE, Token
from litertlm.progress import Progress, Task

_WRITING_ROLES = frozenset({"write", "admin", "contributor"})


@dataclass(frozen=True)
class Account:
    """The owner of a token.

    Attributes:
        name: of the user.
        organisations: that the user may write to, as far as the Hub says.
        read_only: whether the token may not write at all.
    """

    name: str
    organisations: tuple[str, ...]
    read_only: bool

    def may_write_to(self, organisation: str) -> bool:
        """Whether repositories of this user or organisation may be written."""
        return organisation.lower() in {n.lower() for n in (self.name, *self.organisations)}


@dataclass(frozen=True)
class RemoteRepo:
    """A repository as it is on the Hub.

    Attributes:
        commit: the newest one of `main`; None if the Hub lists none.
        private: whether only its owners see it.
        tags: of its card, and others.
        files: their paths.
    """

    commit: str | None
    private: bool
    tags: frozenset[str]
    files: frozenset[str]


@dataclass(frozen=True)
class Uploader:
    """Writes to the Hub with one user's token.

    Attributes:
        client: has a token.
        repo: `org/name`, the repository to write.
    """

    client: HubClient
    repo: str
    progress: Progress

    @property
    def _token(self) -> Token:
        if self.client.token is None:
            raise AccessDenied(
                "Publishing needs a Hugging Face token.",
                why="None was found.",
                hint=f"{HOW_TO_SET_TOKEN}\nIt needs write permission.",
            )
        return self.client.token

    @property
    def _api(self) -> HfApi:
        # The protocol of the other storage, Xet, does not say how far it is.
        constants.HF_HUB_DISABLE_XET = True
        constants.HF_HUB_DISABLE_TELEMETRY = True
        disable_progress_bars()  # `progress` has one
        return HfApi(self.client.endpoint, token=self._token.value)

    def account(self) -> Account:
        """Whose token it is.

        Raises:
            AccessDenied: there is no token, or the Hub does not accept it.
        """
        api = self._api
        with self._errors("look up the account"):
            answer = api.whoami()
        if not isinstance(answer, dict) or not isinstance(answer.get("name"), str):
            raise NetworkError(
                "The Hub does not say whose token this is.", hint="Check HF_ENDPOINT."
            )
        orgs = [org for org in answer.get("orgs") or [] if isinstance(org, dict)]
        return Account(
            answer["name"],
            tuple(
                str(org.get("name"))
                for org in orgs
                if org.get("roleInOrg", "write") in _WRITING_ROLES
            ),
            _token_role(answer) == "read",
        )

    def find(self) -> RemoteRepo | None:
        """The repository, or None if there is none that this token can see."""
        api = self._api
        try:
            with self._errors("look up the repository"):
                info = api.model_info(self.repo)
        except _NotFound:
            return None
        return RemoteRepo(
            info.sha,
            bool(info.private),
            frozenset(info.tags or ()),
            frozenset(file.rfilename for file in info.siblings or ()),
        )

    def create(self) -> None:
        """Create the repository, private. It may have been created meanwhile.

        Raises:
            AccessDenied: this account may not.
        """
        api = self._api
        with self._errors("create the repository"):
            api.create_repo(self.repo, private=True, exist_ok=True)

    def commit(self, files: Mapping[str, Path | bytes], message: str, *, parent: str | None) -> str:
        """Upload `files`, by their paths in the repository, and commit them; returns the commit.

        A large file that an earlier attempt uploaded is not sent again. Until the commit, which
        has all files or none, nobody sees them.

        Args:
            parent: the commit that the repository is expected to be at.
        """
        api = self._api
        total = sum(c.stat().st_size for c in files.values() if isinstance(c, Path))
        with (
            contextlib.ExitStack() as stack,
            _retries_reported(self.progress),
            warnings.catch_warnings(),
            self._errors("upload"),
        ):
            warnings.simplefilter("ignore")  # hints on the card's metadata
            large = {
                path: stack.enter_context(_CountedFile(content))
                for path, content in files.items()
                if isinstance(content, Path)
            }
            small = {path: content for path, content in files.items() if isinstance(content, bytes)}
            operations = [CommitOperationAdd(path, data) for path, data in small.items()]
            # This hashes the file.
            operations += [CommitOperationAdd(path, file) for path, file in large.items()]
            task = stack.enter_context(self.progress.task(f"Uploading to {self.repo}", total))
            for file in large.values():
                file.task = task
            made = api.create_commit(
                self.repo, operations, commit_message=message, parent_commit=parent
            )
        return made.oid

    def make_public(self) -> None:
        """Let everybody see the repository."""
        api = self._api
        with self._errors("make the repository public"):
            api.update_repo_settings(self.repo, visibility="public")

    @contextlib.contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        """Turn huggingface_hub's errors into this program's."""
        try:
            with network_errors(self.client.endpoint):
                try:
                    yield
                except HfHubHTTPError as error:
                    raise self._refused(error, action) from error
                except RuntimeError as error:  # it wraps what went wrong with a file
                    cause = error.__cause__
                    if isinstance(cause, HfHubHTTPError):
                        raise self._refused(cause, action) from error
                    if isinstance(cause, httpx2.HTTPError):
                        raise cause from error
                    raise
        except Transient as failure:
            raise failure.error from failure
        except HFValidationError as error:
            raise UsageError(f"Not a name for the Hub: {self.repo}.", why=str(error)) from error
        except ValueError as error:  # a malformed answer, or one that lists errors
            raise NetworkError(
                f"The Hub refused to {action}: {self.repo}.", why=self._clean(str(error))
            ) from error

    def _refused(self, error: HfHubHTTPError, action: str) -> LiteRtLmError:
        response = error.response
        message = self._clean(
            str(error.server_message or response.headers.get("X-Error-Message", ""))
        )
        code = response.headers.get("X-Error-Code", "")
        if response.status_code == 401 and not code:
            return bad_token_error(self._token)
        if response.status_code == 404 or code == "RepoNotFound":
            return _NotFound(f"No model {self.repo} on the Hub.", why=message)
        if response.status_code in (401, 402, 403):
            return AccessDenied(
                f"The Hub refuses to {action}: {self.repo}.",
                why=message,
                hint=f"The token from {self._token.source} needs write permission for "
                f"{self.repo.partition('/')[0]}: {TOKEN_PAGE}",
            )
        if response.status_code == 412:
            return NetworkError(
                f"{self.repo} was changed by someone else meanwhile.",
                why=message,
                hint="Run the command again.",
            )
        return NetworkError(
            f"The Hub answered {response.status_code}: it did not {action} ({self.repo}).",
            why=message,
            hint="Run the command again; what was uploaded completely is not sent again.",
        )

    def _clean(self, text: str) -> str:
        """A server's words, without the token."""
        return text.replace(self._token.value, "<token>").strip()[:1000]


class _NotFound(NetworkError):
    """There is no such repository, or this token cannot see it."""


class _CountedFile(io.BufferedReader):
    """A file that reports how far it was read, once `task` is set. A second try does not count."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.task: Task | None = None
        self._furthest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if self.task is not None and (new := self.tell() - self._furthest) > 0:
            self._furthest += new
            self.task.advance(new)
        return data


class _RetryHandler(logging.Handler):
    """Prints what huggingface_hub logs about retries."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        # Others have addresses with signatures.
        if text.startswith(("Retrying in", "Rate limited")):
            self._progress.status(f"The upload was interrupted. {text}")


@contextlib.contextmanager
def _retries_reported(progress: Progress) -> Iterator[None]:
    """Print huggingface_hub's warnings with the progress instead of on stderr."""
    logger = logging.getLogger("huggingface_hub")
    before, logger.handlers = logger.handlers, [_RetryHandler(progress)]
    try:
        yield
    finally:
        logger.handlers = before


def _token_role(answer: Mapping[str, Any]) -> str | None:
    """`read`, `write` or `fineGrained`, if the Hub says so."""
    auth = answer.get("auth")
    token = auth.get("accessToken") if isinstance(auth, dict) else None
    role = token.get("role") if isinstance(token, dict) else None
    return role if isinstance(role, str) else None
