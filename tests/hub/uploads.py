"""The part of the Hub's protocol that changes repositories: create, LFS uploads, commits.

As huggingface_hub 2.4 uses it (hf_api.py, _commit_api.py, lfs.py):

    GET  /api/whoami-v2                                  whose token it is
    POST /api/repos/create                               409 if it exists
    POST /api/validate-yaml                              the metadata of a model card
    POST /api/models/ORG/NAME/preupload/REVISION         `lfs` or `regular` for each file
    POST /ORG/NAME.git/info/lfs/objects/batch            where to send the objects that are not here
    PUT  (on the other host) /lfs/ORG/NAME/SHA256        an object, or a part of one
    POST /ORG/NAME.git/info/lfs/complete, .../verify     after the parts; after an object
    POST /api/models/ORG/NAME/commit/REVISION            lines of JSON; all of it or nothing
    PUT  /api/models/ORG/NAME/settings                   the visibility

Settings (see server.py): `accounts` gives tokens a name, organisations and a role; `uploads`, of a
repository or `*`: `part_bytes` (objects are sent in parts), `fail` (a list of statuses: the next
answers to a PUT), `cut` (the next PUT's connection is closed after so many bytes), `commit` (a
status that commits get).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from hub.server import HubServer

LFS_SUFFIXES = (".safetensors", ".litertlm", ".gguf", ".task", ".bin", ".pth", ".onnx", ".h5")
OBJECTS = ".lfs"  # in the server's folder: uploaded objects, committed or not


@functools.lru_cache(maxsize=4096)
def _hashes(path: str, size: int, _mtime_ns: int) -> tuple[str, str]:
    """(sha256, git blob id) of a file, both hex."""
    sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            sha256.update(chunk)
            blob.update(chunk)
    return sha256.hexdigest(), blob.hexdigest()


def file_hashes(path: Path) -> tuple[str, str]:
    """(sha256, git blob id) of a file, both hex."""
    stat = path.stat()
    return _hashes(str(path), stat.st_size, stat.st_mtime_ns)


class Refused(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


def front_matter(folder: Path) -> dict[str, Any]:
    """The metadata of a repository's card."""
    path = folder / "README.md"
    text = path.read_text() if path.is_file() else ""
    if not text.startswith("---\n"):
        return {}
    found = yaml.safe_load(text[4:].split("\n---", 1)[0])
    return found if isinstance(found, dict) else {}


class Uploads:
    """Answers the requests above for one server."""

    def __init__(self, hub: HubServer) -> None:
        self.hub = hub

    def account(self, token: str | None) -> dict[str, Any]:
        """Name, organisations and role of a token."""
        settings = self.hub.settings()
        if token not in settings.get("tokens", {}):
            raise Refused(401, "Invalid credentials in Authorization header")
        return {"name": "someone", "orgs": [], "role": "write"} | settings.get("accounts", {}).get(
            token, {}
        )

    def whoami(self, token: str | None) -> dict[str, Any]:
        account = self.account(token)
        return {
            "type": "user",
            "name": account["name"],
            "orgs": [{"name": name, "roleInOrg": "write"} for name in account["orgs"]],
            "auth": {"type": "access_token", "accessToken": {"role": account["role"]}},
        }

    def post(self, path: str, token: str | None, body: bytes) -> dict[str, Any]:
        """The answer to a POST to the Hub's host."""
        if path == "/api/repos/create":
            return self._create(token, json.loads(body))
        if path == "/api/validate-yaml":
            return self._validate(json.loads(body))
        if path.startswith("/api/models/"):
            org, name, action, revision = path.removeprefix("/api/models/").split("/")
            repo = self._writable(f"{org}/{name}", token)
            if action == "preupload":
                return self._preupload(repo, json.loads(body))
            if action == "commit" and revision == "main":
                return self._commit(repo, body)
        if ".git/info/lfs/" in path:
            repo, _, action = path.lstrip("/").partition(".git/info/lfs/")
            if action == "objects/batch":
                return self._batch(self._writable(repo, token), json.loads(body))
            if action == "complete":  # without a token: the address is signed
                return self._complete(json.loads(body))
            if action == "verify":
                self._writable(repo, token)
                return self._verify(json.loads(body))
        raise Refused(404, "Sorry, we can't find the page you are looking for.")

    def put_settings(self, path: str, token: str | None, body: bytes) -> dict[str, Any]:
        """The answer to a PUT to the Hub's host."""
        org, name, _ = path.removeprefix("/api/models/").split("/")
        repo = self._writable(f"{org}/{name}", token)
        options = self.hub.settings().get("repos", {}).get(repo, {})
        self.hub.configure(
            repo, **{**options, "private": json.loads(body)["visibility"] == "private"}
        )
        return {}

    def put_object(self, name: str, part: str | None, body: bytes) -> str:
        """Store an object, or a part of one, that was sent to the other host; its ETag."""
        folder = self.hub.folder / OBJECTS
        folder.mkdir(exist_ok=True)
        if part is None and hashlib.sha256(body).hexdigest() != name:
            raise Refused(400, "The content is not that of the name.")
        (folder / (name if part is None else f"{name}.{part}")).write_bytes(body)
        return hashlib.md5(body).hexdigest()

    def fault(self, repo: str, key: str) -> Any:
        """A configured fault of uploads to `repo`; the first of a list, which is used up."""
        settings = self.hub.settings()
        for name in (repo, "*"):
            value = settings.get("uploads", {}).get(name, {}).get(key)
            if isinstance(value, list):
                number = self.hub.count(f"upload {name} {key}")
                value = value[number] if number < len(value) else None
            if value is not None:
                return value
        return None

    def _writable(self, repo: str, token: str | None) -> str:
        account = self.account(token)
        org = repo.partition("/")[0]
        if account["role"] == "read" or org not in (account["name"], *account["orgs"]):
            raise Refused(403, f"You don't have the rights to write to {repo}.")
        if not (self.hub.folder / repo).is_dir():
            raise Refused(404, "Repository not found", "RepoNotFound")
        return repo

    def _create(self, token: str | None, wanted: dict[str, Any]) -> dict[str, Any]:
        account = self.account(token)
        org = wanted.get("organization") or account["name"]
        repo = f"{org}/{wanted['name']}"
        if account["role"] == "read" or org not in (account["name"], *account["orgs"]):
            raise Refused(403, f"You don't have the rights to create a model under {org}.")
        if (self.hub.folder / repo).exists():
            raise Refused(409, "You already created this model repo")
        (self.hub.folder / repo).mkdir(parents=True)
        self.hub.configure(repo, private=wanted.get("visibility") == "private")
        assert token is not None
        self.hub.allow(token, *self.hub.settings()["tokens"][token], repo)
        return {"url": f"{self.hub.url}/{repo}", "name": repo, "id": "0" * 24}

    def _validate(self, wanted: dict[str, Any]) -> dict[str, Any]:
        text = wanted["content"]
        try:
            found = yaml.safe_load(text[4:].split("\n---", 1)[0])
        except yaml.YAMLError as error:
            raise Refused(400, f"Invalid YAML: {error}") from error
        if not text.startswith("---\n") or not isinstance(found, dict):
            return {"errors": [], "warnings": [{"message": "empty or missing yaml metadata"}]}
        if "license" in found and " " in str(found["license"]):
            raise Refused(400, '"license" must be one of [apache-2.0, mit, ...]')
        return {"errors": [], "warnings": []}

    def _preupload(self, repo: str, wanted: dict[str, Any]) -> dict[str, Any]:
        files = []
        for file in wanted["files"]:
            lfs = file["path"].endswith(LFS_SUFFIXES) or file["size"] >= 1_000_000
            entry = {
                "path": file["path"],
                "uploadMode": "lfs" if lfs else "regular",
                "shouldIgnore": False,
            }
            there = self.hub.folder / repo / file["path"]
            if there.is_file():
                entry["oid"] = file_hashes(there)[0 if lfs else 1]
            files.append(entry)
        return {"files": files}

    def _batch(self, repo: str, wanted: dict[str, Any]) -> dict[str, Any]:
        part_bytes = self.fault(repo, "part_bytes")
        answers = []
        for item in wanted["objects"]:
            answer = {"oid": item["oid"], "size": item["size"]}
            if not (self.hub.folder / OBJECTS / item["oid"]).is_file():
                url = f"{self.hub.cdn_url}/lfs/{repo}/{item['oid']}"
                upload: dict[str, Any] = {"href": f"{url}?Signature=abc"}
                if part_bytes and "multipart" in wanted["transfers"]:
                    count = -(-item["size"] // part_bytes)
                    upload["href"] = f"{self.hub.url}/{repo}.git/info/lfs/complete?Signature=abc"
                    upload["header"] = {"chunk_size": str(part_bytes)} | {
                        str(n): f"{url}?part={n}" for n in range(1, count + 1)
                    }
                verify = {"href": f"{self.hub.url}/{repo}.git/info/lfs/verify"}
                answer["actions"] = {"upload": upload, "verify": verify}
            answers.append(answer)
        multipart = bool(part_bytes) and "multipart" in wanted["transfers"]
        return {"transfer": "multipart" if multipart else "basic", "objects": answers}

    def _complete(self, wanted: dict[str, Any]) -> dict[str, Any]:
        folder, name = self.hub.folder / OBJECTS, wanted["oid"]
        parts = [folder / f"{name}.{part['partNumber']}" for part in wanted["parts"]]
        self.put_object(name, None, b"".join(part.read_bytes() for part in parts))
        for part in parts:
            part.unlink()
        return {"success": True}

    def _verify(self, wanted: dict[str, Any]) -> dict[str, Any]:
        path = self.hub.folder / OBJECTS / wanted["oid"]
        if not path.is_file() or path.stat().st_size != wanted["size"]:
            raise Refused(404, "The object is not here.")
        return {}

    def _commit(self, repo: str, body: bytes) -> dict[str, Any]:
        if status := self.fault(repo, "commit"):
            raise Refused(status, "No commit now.")
        lines = [json.loads(line) for line in body.splitlines()]
        assert lines[0]["key"] == "header"
        assert lines[0]["value"]["summary"]
        parent = lines[0]["value"].get("parentCommit")
        if parent is not None and parent != self.hub.commit(repo):
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        contents: dict[str, bytes | Path] = {}
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                contents[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                stored = self.hub.folder / OBJECTS / value["oid"]
                if not stored.is_file():
                    raise Refused(400, f"LFS pointer to an object that is not here: {value['oid']}")
                contents[value["path"]] = stored
            else:
                raise Refused(400, f"Not known here: {line['key']}")
        for name, content in contents.items():
            target = self.hub.folder / repo / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, target)
            else:
                target.write_bytes(content)
        commit = self.hub.commit(repo)
        return {
            "success": True,
            "commitOid": commit,
            "commitUrl": f"{self.hub.url}/{repo}/commit/{commit}",
        }
