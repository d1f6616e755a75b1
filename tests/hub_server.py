"""A Hugging Face Hub on loopback, in memory: as much of it as a push and a fetch ask for."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

TOKEN = "hf_loopback"


class HubServer:
    """Repositories by name, each a commit and its files; big ones come as LFS objects."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                path = unquote(self.path.partition("?")[0])
                hub.asked.append(f"{self.command} {path}")
                status, content, headers = hub.answer(
                    self.command, path, body, self.headers.get("Authorization", "")
                )
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = do_PUT = _answer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def commit(self, name: str) -> str:
        """The commit that a repository is at: a hash of its files."""
        both = sorted((path, content) for path, content in self.repositories[name].items())
        return hashlib.sha1(repr(both).encode()).hexdigest()

    def answer(
        self, method: str, path: str, body: bytes, authorization: str
    ) -> tuple[int, bytes, dict[str, str]]:
        if method == "PUT" and path.startswith("/objects/"):
            self.objects[path.removeprefix("/objects/")] = body
            return 200, b"", {}
        if method in ("GET", "HEAD") and (
            found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        ):
            return self._file(*found.groups())
        if method == "POST" and authorization != f"Bearer {TOKEN}":
            return _json(401, {"error": "Invalid username or password."})
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'painter'}/{asked['name'].split('/')[-1]}"
            self.repositories.setdefault(name, {})
            self.private[name] = bool(asked.get("private") or asked.get("visibility") == "private")
            return _json(200, {"url": f"{self.url}/{name}", "name": name})
        if path == "/api/validate-yaml":
            return _json(200, {"errors": [], "warnings": []})
        if path.endswith("/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/.*)?", path):
            return self._model(found[1], found[2] or "", body)
        return _json(404, {"error": f"no {method} {path} here"})

    def _model(self, name: str, rest: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if name not in self.repositories:
            headers = {"X-Error-Code": "RepoNotFound"}
            return _json(404, {"error": "Repository not found"}, headers)
        if rest.startswith("/preupload/"):
            files = json.loads(body)["files"]
            big = [f["size"] > 10_000 for f in files]
            modes = [
                {
                    "path": f["path"],
                    "uploadMode": "lfs" if lfs else "regular",
                    "shouldIgnore": False,
                }
                for f, lfs in zip(files, big, strict=True)
            ]
            return _json(200, {"files": modes})
        if rest.startswith("/commit/"):
            for line in body.splitlines():
                self._apply(name, json.loads(line))
            commit = self.commit(name)
            url = f"{self.url}/{name}/commit/{commit}"
            return _json(200, {"commitUrl": url, "commitOid": commit, "success": True})
        if rest.startswith("/tree/"):
            return _json(200, [self._entry(name, path) for path in self.repositories[name]])
        siblings = [{"rfilename": path} for path in self.repositories[name]]
        facts = {"_id": "1", "id": name, "modelId": name, "siblings": siblings}
        return _json(200, {**facts, "sha": self.commit(name), "private": self.private[name]})

    def _entry(self, name: str, path: str) -> dict[str, Any]:
        content = self.repositories[name][path]
        digest = hashlib.sha1(content).hexdigest()
        return {"type": "file", "path": path, "size": len(content), "oid": digest}

    def _apply(self, name: str, line: dict[str, Any]) -> None:
        value = line["value"]
        if line["key"] == "file":
            self.repositories[name][value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            self.repositories[name][value["path"]] = self.objects[value["oid"]]

    def _batch(self, asked: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        objects = [
            {**entry, "actions": {"upload": {"href": f"{self.url}/objects/{entry['oid']}"}}}
            for entry in asked["objects"]
        ]
        content = json.dumps({"transfer": "basic", "objects": objects}).encode()
        return 200, content, {"Content-Type": "application/vnd.git-lfs+json"}

    def _file(self, name: str, path: str) -> tuple[int, bytes, dict[str, str]]:
        content = self.repositories.get(name, {}).get(path)
        if content is None:
            return _json(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        return 200, content, {"ETag": etag, "X-Repo-Commit": self.commit(name)}


def _json(
    status: int, value: Any, headers: dict[str, str] | None = None
) -> tuple[int, bytes, dict[str, str]]:
    content = json.dumps(value).encode()
    return status, content, {"Content-Type": "application/json", **(headers or {})}
