"""A local server that speaks the Hugging Face Hub's HTTP protocol, for tests and by hand.

    python tests/hub/server.py FOLDER --port N
    HF_ENDPOINT=http://127.0.0.1:N litert-lm-cli pull org/name

FOLDER holds one folder `<org>/<name>/` per repository and, if anything is to be out of the
ordinary, `settings.json` (read again at every request):

    {"tokens": {"hf_abc": ["org/gated", "org/private"]},      what each good token may see
     "repos": {"org/name": {
        "gated": "manual", "gated_message": "...", "private": true, "disabled": true,
        "license": "gemma", "tags": ["x"], "base_model": "org/other", "gguf": {...},
        "branches": {"v1": "org/name.v1"},                    other revisions, as folders
        "push": {"after": 2, "folder": "org/name.next"},      main moves after 2 file requests
        "flaky": {"status": 503, "times": 2, "where": "cdn", "retry_after": 1},
        "truncated": {"after": 1000, "times": 3},             connection dropped mid-body
        "damaged": {"file": "f", "times": 1},                 the last byte of a body is wrong
        "slow": 100000,                                       bytes a second, each connection
        "total": 400000,                                      bytes a second, all connections
        "hold": 100000,       bodies wait once so many bytes were sent, until this is changed
        "ranges": false,                                      Range is ignored
        "sizes": {"f": 1}, "hashes": {"f": "00"},             metadata that lies
        "short": {"f": 10},                                   a file that ends early, cleanly
        "names": {"f": "../../f"},                            listed under another name
        "endless": ["f"], "loop": ["f"],                      a body, or redirects, without end
        "moved": "org/new",                                   the repository has another name now
        "answer": "<html>..."}}}                              said instead of the description

Files of 1 MB and more, and weights, are stored as the Hub stores LFS files: `resolve` redirects to
another host (here: other port, `localhost` instead of `127.0.0.1`), which refuses requests that
carry a token, as object stores with signed addresses do. Small files redirect within the host.
Uploads and commits are in uploads.py.
Sources: https://huggingface.co/docs/hub/api, the headers that huggingface_hub reads
(file_download.py, utils/_http.py), and responses of the real Hub.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import select
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

if __name__ == "__main__":  # as a program: `hub` is a folder of tests/
    sys.path.insert(0, str(Path(__file__).parents[1]))
from hub.uploads import LFS_SUFFIXES, Refused, Uploads, file_hashes, front_matter

CHUNK = 64 * 1024


@dataclass
class Request:
    """What the server saw: `where` is `api`, `resolve` or `cdn`."""

    where: str
    method: str
    path: str
    token: str | None
    range: str | None


@dataclass
class HubServer:
    """Serves `folder` on 127.0.0.1; use as a context manager. `requests` is the log.

    Attributes:
        prefix: of all paths, such as `/mirror/hf`.
        tls: of the Hub's own host; the other host has none.
    """

    folder: Path
    port: int = 0
    prefix: str = ""
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    bytes_sent: int = 0
    _counts: Counter[str] = field(default_factory=Counter)
    _line_free_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> HubServer:
        handler = type("Handler", (_Handler,), {"hub": self})
        self._hub = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._cdn = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._hub.server_port
        if self.tls is not None:
            self._hub.socket = self.tls.wrap_socket(self._hub.socket, server_side=True)
        for server in (self._hub, self._cdn):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{self.prefix}"

    @property
    def cdn_url(self) -> str:
        return f"http://localhost:{self._cdn.server_port}"

    @property
    def cdn_port(self) -> int:
        return self._cdn.server_port

    def settings(self) -> dict[str, Any]:
        path = self.folder / "settings.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def configure(self, repo: str, **settings: Any) -> None:
        """Set a repository's settings (see the module's docstring)."""
        whole = self.settings()
        whole.setdefault("repos", {})[repo] = settings
        self._write_settings(whole)

    def allow(self, token: str, *repos: str) -> None:
        """Make `token` a good one that may see `repos`."""
        whole = self.settings()
        whole.setdefault("tokens", {})[token] = list(repos)
        self._write_settings(whole)

    def _write_settings(self, whole: dict[str, Any]) -> None:
        temporary = self.folder / "settings.tmp"
        temporary.write_text(json.dumps(whole, indent=1))
        temporary.replace(self.folder / "settings.json")

    def count(self, key: str) -> int:
        """How often `key` was counted before, counting this time."""
        with self._lock:
            self._counts[key] += 1
            return self._counts[key] - 1

    def wait_for_line(self, size: int, total: float) -> None:
        """Wait until `size` bytes have passed a line of `total` bytes a second."""
        with self._lock:
            self._line_free_at = max(self._line_free_at, time.monotonic()) + size / total
            until = self._line_free_at
        time.sleep(max(0.0, until - time.monotonic()))

    def of(self, where: str, method: str = "GET") -> list[Request]:
        """The log's requests to `where` by `method`."""
        return [r for r in self.requests if r.where == where and r.method == method]

    def files(self, folder: str) -> list[Path]:
        root = self.folder / folder
        return sorted(p for p in root.rglob("*") if p.is_file())

    def commit(self, folder: str) -> str:
        """The commit of a folder's present content, 40 hex digits."""
        root = self.folder / folder
        digest = hashlib.sha1(folder.encode())
        for path in self.files(folder):
            digest.update(f"{path.relative_to(root)}\0{file_hashes(path)[1]}\0".encode())
        return digest.hexdigest()

    def revision_folder(self, repo: str, revision: str) -> str | None:
        """The folder that serves `revision` (branch or commit) of `repo`."""
        options = self.settings().get("repos", {}).get(repo, {})
        branches = {"main": repo, **options.get("branches", {})}
        push = options.get("push")
        folders = set(branches.values()) | ({push["folder"]} if push else set())
        if push and self._counts[f"file {repo}"] >= push["after"]:
            branches["main"] = push["folder"]
        if revision in branches:
            return branches[revision]
        return next((f for f in folders if self.commit(f) == revision), None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        _, path, token, _ = self._logged()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(lambda: Uploads(self.hub).post(path, token, body))

    def do_PUT(self) -> None:
        where, path, token, query = self._logged()
        size = int(self.headers.get("Content-Length", 0))
        if where != "cdn":
            body = self.rfile.read(size)
            self._answer(lambda: Uploads(self.hub).put_settings(path, token, body))
            return
        _, org, name, oid = path.lstrip("/").split("/")
        uploads = Uploads(self.hub)
        if (cut := uploads.fault(f"{org}/{name}", "cut")) is not None:
            self.rfile.read(min(cut, size))
            self.close_connection = True
            return
        body = self.rfile.read(size)
        if "Authorization" in self.headers:
            self._error(400, "", "Only one auth mechanism allowed")
        elif len(body) < size:
            self.close_connection = True
        elif status := uploads.fault(f"{org}/{name}", "fail"):
            self._error(status, "", "Out of order")
        else:
            etag = uploads.put_object(oid, query.get("part", [None])[0], body)
            self.send_response(200)
            self.send_header("ETag", etag)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _answer(self, answer: Callable[[], dict[str, Any]]) -> None:
        try:
            self._json(answer())
        except Refused as refused:
            self._error(refused.status, refused.code, refused.message)

    def _logged(self) -> tuple[str, str, str | None, dict[str, list[str]]]:
        """Where the request went, its path, token and query; it is put into the log."""
        split = urlsplit(self.path)
        path = unquote(split.path)
        on_cdn = self.server.server_port == self.hub.cdn_port
        if not on_cdn:
            if not path.startswith(f"{self.hub.prefix}/"):
                path = "/outside of the prefix"
            path = path.removeprefix(self.hub.prefix)
        where = "cdn" if on_cdn else "api" if path.startswith("/api/") else "resolve"
        token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip() or None
        self.hub.requests.append(
            Request(where, self.command, path, token, self.headers.get("Range"))
        )
        return where, path, token, parse_qs(split.query)

    def do_GET(self) -> None:
        where, path, token, query = self._logged()
        try:
            if where == "cdn":
                self._cdn(path)
            elif path == "/api/whoami-v2":
                self._answer(lambda: Uploads(self.hub).whoami(token))
            elif path.startswith("/api/models/"):
                self._api(path.removeprefix("/api/models/"), query, token)
            elif path.startswith("/api/resolve-cache/models/"):
                org, name, commit, file = path.removeprefix("/api/resolve-cache/models/").split(
                    "/", 3
                )
                self._send_file(f"{org}/{name}", commit, file, "resolve")
            elif "/resolve/" in path:
                repo, rest = path.lstrip("/").split("/resolve/", 1)
                revision, file = rest.split("/", 1)
                self._resolve(repo, revision, file, token)
            else:
                self._error(404, "", "Sorry, we can't find the page you are looking for.")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _json(self, value: Any, status: int = 200) -> None:
        self._body(json.dumps(value).encode(), status)

    def _body(self, body: bytes, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str, message: str, **headers: str) -> None:
        body = json.dumps({"error": message}).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _options(self, repo: str) -> dict[str, Any]:
        options: dict[str, Any] = self.hub.settings().get("repos", {}).get(repo, {})
        return options

    def _failed(self, repo: str, where: str) -> bool:
        """Answer with the repository's configured failure, if one is due."""
        fail = self._options(repo).get("flaky")
        if not fail or fail.get("where", "resolve") != where:
            return False
        if self.hub.count(f"fail {repo}") >= fail.get("times", 1 << 30):
            return False
        extra = {"Retry_After": str(fail["retry_after"])} if "retry_after" in fail else {}
        self._error(fail["status"], "", "Out of order", **extra)
        return True

    def _visible(self, repo: str, token: str | None) -> bool:
        """Answer 401 or 404 as the Hub does where the repository is not to be seen."""
        tokens = self.hub.settings().get("tokens", {})
        options = self._options(repo)
        hidden = options.get("private") and repo not in tokens.get(token, ())
        if token is not None and token not in tokens:
            self._error(401, "", "Invalid credentials in Authorization header")
        elif not (self.hub.folder / repo).is_dir() or hidden:
            if token is None:
                self._error(401, "RepoNotFound", "Invalid username or password.")
            else:
                self._error(404, "RepoNotFound", "Repository not found")
        elif options.get("disabled"):
            self._error(403, "", "Access to this resource is disabled.")
        else:
            return True
        return False

    def _api(self, rest: str, query: dict[str, list[str]], token: str | None) -> None:
        org, name, *tail = rest.split("/")
        repo = f"{org}/{name}"
        if moved := self._options(repo).get("moved"):
            self.send_response(307)
            self.send_header("Location", self.path.replace(repo, moved))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if "answer" in self._options(repo):
            self._body(self._options(repo)["answer"].encode(), 200)
            return
        if self._failed(repo, "api") or not self._visible(repo, token):
            return
        revision = tail[1] if len(tail) > 1 else "main"
        folder = self.hub.revision_folder(repo, revision)
        if folder is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        if "api" in self._options(repo).get("endless", []):
            self._endless(b'{"id": "x", "tags": ["')
        elif tail and tail[0] == "tree":
            self._json([self._tree_entry(repo, folder, p) for p in self.hub.files(folder)])
        else:
            self._json(self._info(repo, folder, blobs="blobs" in query))

    def _tree_entry(self, repo: str, folder: str, path: Path) -> dict[str, Any]:
        sibling = self._sibling(repo, folder, path)
        entry = {"type": "file", "path": sibling["rfilename"], "oid": sibling["blobId"]}
        entry["size"] = sibling["size"]
        if "lfs" in sibling:
            lfs = sibling["lfs"]
            entry["lfs"] = {"oid": lfs["sha256"], "size": lfs["size"], "pointerSize": 134}
        return entry

    def _sibling(self, repo: str, folder: str, path: Path) -> dict[str, Any]:
        options = self._options(repo)
        name = path.relative_to(self.hub.folder / folder).as_posix()
        sha256, blob = file_hashes(path)
        size = options.get("sizes", {}).get(name, path.stat().st_size)
        sha256 = options.get("hashes", {}).get(name, sha256)
        entry: dict[str, Any] = {"rfilename": options.get("names", {}).get(name, name)}
        entry |= {"size": size, "blobId": options.get("hashes", {}).get(name, blob)}
        if _is_lfs(path):
            entry["lfs"] = {"sha256": sha256, "size": size, "pointerSize": 134}
        return entry

    def _info(self, repo: str, folder: str, *, blobs: bool) -> dict[str, Any]:
        options = self._options(repo)
        siblings = [self._sibling(repo, folder, p) for p in self.hub.files(folder)]
        if not blobs:
            siblings = [{"rfilename": s["rfilename"]} for s in siblings]
        card = front_matter(self.hub.folder / folder)
        card |= {k: options[k] for k in ("license", "license_name", "base_model") if k in options}
        tags = [*options.get("tags", []), *card.get("tags", [])]
        if "license" in card:
            tags.append(f"license:{card['license']}")
        info = {
            "_id": "0" * 24,
            "id": repo,
            "modelId": repo,
            "author": repo.split("/")[0],
            "sha": self.hub.commit(folder),
            "private": bool(options.get("private")),
            "gated": options.get("gated", False),
            "disabled": False,
            "tags": tags,
            "cardData": card,
            "siblings": siblings,
        }
        if "gguf" in options:
            info["gguf"] = options["gguf"]
        return info

    def _resolve(self, repo: str, revision: str, file: str, token: str | None) -> None:
        options = self._options(repo)
        tokens = self.hub.settings().get("tokens", {})
        if self._failed(repo, "resolve"):
            return
        if options.get("gated") and repo not in tokens.get(token, ()):
            # The real Hub answers a bad token here exactly as it answers no token.
            anonymous = token not in tokens
            reason = (
                "You must have access to it and be authenticated to access it. Please log in."
                if anonymous
                else f"Visit https://huggingface.co/{repo} to ask for access."
            )
            message = f"Access to model {repo} is restricted. {reason}"
            message = options.get("gated_message", message)
            self._error(401 if anonymous else 403, "GatedRepo", message)
            return
        if not self._visible(repo, token):
            return
        folder = self.hub.revision_folder(repo, revision)
        if folder is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        path = self.hub.folder / folder / self._real_name(repo, file)
        if not path.is_file():
            self._error(404, "EntryNotFound", "Entry not found")
            return
        commit, (sha256, blob) = self.hub.commit(folder), file_hashes(path)
        if self.command == "GET":
            self.hub.count(f"file {repo}")
        lfs = _is_lfs(path)
        target = quote(f"{repo}/{commit}/{file}")
        if file in options.get("loop", []):
            where = self.path.split("?")[0].removeprefix(self.hub.prefix)
            location = f"{self.hub.url}{where}?again={time.monotonic_ns()}"
        elif lfs:
            location = f"{self.hub.cdn_url}/{target}?Signature=abc"
        else:
            location = f"{self.hub.prefix}/api/resolve-cache/models/{target}"
        self.send_response(302 if lfs else 307)
        self.send_header("Location", location)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("X-Linked-Size", str(path.stat().st_size))
        self.send_header("X-Linked-Etag", f'"{sha256 if lfs else blob}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _real_name(self, repo: str, listed: str) -> str:
        names = self._options(repo).get("names", {})
        return next((real for real, shown in names.items() if shown == listed), listed)

    def _cdn(self, path: str) -> None:
        org, name, commit, file = path.lstrip("/").split("/", 3)
        if "Authorization" in self.headers:
            self._error(400, "", "Only one auth mechanism allowed")
        elif not self._failed(f"{org}/{name}", "cdn"):
            self._send_file(f"{org}/{name}", commit, file, "cdn")

    def _endless(self, start: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.close_connection = True
        while True:
            self.wfile.write(start or b"x" * CHUNK)
            start = b""

    def _send_file(self, repo: str, commit: str, file: str, where: str) -> None:
        options = self._options(repo)
        folder = self.hub.revision_folder(repo, commit)
        if folder is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {commit}")
            return
        if file in options.get("endless", []):
            self._endless(b"")
        path = self.hub.folder / folder / self._real_name(repo, file)
        size = options.get("short", {}).get(file, path.stat().st_size)
        start = 0
        wanted = self.headers.get("Range")
        if wanted and options.get("ranges", True):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first)
            end = min(int(last) + 1, size) if last else size
            if start >= size:
                self._error(416, "", "Range not satisfiable", Content_Range=f"bytes */{size}")
                return
            self.send_response(206)
            told = options.get("content_range", f"bytes {start}-{end - 1}/{size}")
            if told is not None:
                self.send_header("Content-Range", told)
        else:
            end = size
            self.send_response(200)
        sha256, blob = file_hashes(path)
        self.send_header("ETag", f'"{sha256 if where == "cdn" else blob}"')
        if where == "resolve":
            self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(repo, path, start, end)

    def _send_body(self, repo: str, path: Path, start: int, end: int) -> None:
        options = self._options(repo)
        cut, slow, held = options.get("truncated"), options.get("slow"), "hold" in options
        stop = end
        if cut and self.hub.count(f"cut {repo}") < cut.get("times", 1 << 30):
            stop = min(end, start + cut["after"])
        fault = options.get("damaged", {})
        damaged = fault.get("file") == path.name and end == path.stat().st_size
        if damaged:
            damaged = self.hub.count(f"damaged {repo}") < fault.get("times", 1 << 30)
        chunk_size = max(1, min(CHUNK, slow // 20)) if slow else CHUNK
        with path.open("rb") as file:
            file.seek(start)
            at = start
            while at < stop:
                size = min(chunk_size, stop - at)
                chunk = file.read(self._may_send(repo, size) if held else size)
                if damaged and at + len(chunk) == path.stat().st_size:
                    chunk = chunk[:-1] + bytes([chunk[-1] ^ 1])
                self.wfile.write(chunk)
                at += len(chunk)
                if not held:
                    self.hub.bytes_sent += len(chunk)
                sent_at = time.monotonic()
                if total := options.get("total"):
                    self.hub.wait_for_line(len(chunk), total)
                if slow:
                    time.sleep(max(0.0, sent_at + len(chunk) / slow - time.monotonic()))
        if stop < end:
            self.wfile.flush()
            self.close_connection = True

    def _may_send(self, repo: str, size: int) -> int:
        """Wait until `hold` lets bytes pass: how many of `size`, which are counted as sent."""
        while True:
            hold = self._options(repo).get("hold")
            with self.hub._lock:
                allowed = size if hold is None else min(size, hold - self.hub.bytes_sent)
                if allowed > 0:
                    self.hub.bytes_sent += allowed
                    return allowed
            # A client that waits for a body sends nothing: what can be read is its end.
            if select.select([self.connection], [], [], 0.01)[0]:
                raise ConnectionResetError


def _is_lfs(path: Path) -> bool:
    return path.suffix in LFS_SUFFIXES or path.stat().st_size >= 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve FOLDER as a Hugging Face Hub.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with HubServer(arguments.folder.resolve(), arguments.port) as server:
        print(f"HF_ENDPOINT={server.url}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
