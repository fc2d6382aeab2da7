"""Nothing in, a server that speaks enough of the Hugging Face Hub's HTTP interface for uploads and downloads out."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_test"
COMMIT = "0" * 40


class Hub(ThreadingHTTPServer):
    """Repositories in memory."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.large: dict[str, bytes] = {}  # SHA-256 -> contents
        self.refuse_with: int | None = None  # status of every answer about commits

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *words: object) -> None:
        """Nothing on the terminal."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, value: object = None, *, status: int = 200, data: bytes | None = None, **headers: str) -> None:
        data = json.dumps(value).encode() if data is None else data
        self.send_response(status)
        for key, text in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(key.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _allowed(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._answer({"error": "Invalid credentials"}, status=401)
        return False

    def do_POST(self) -> None:
        body = self._body()
        if not self._allowed():
            return
        path = urlsplit(unquote(self.path)).path
        if path == "/api/repos/create":
            values = json.loads(body)
            name = f"{values.get('organization') or 'user'}/{values['name']}"
            self.server.repositories.setdefault(name, {})
            self._answer({"url": f"{self.server.address}/{name}", "id": name})
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            modes = [
                {"path": file["path"], "shouldIgnore": False, "uploadMode": self._mode(file["path"])} for file in files
            ]
            self._answer({"files": modes})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            actions = [
                {**lfs_object, "actions": {"upload": {"href": f"{self.server.address}/lfs/{lfs_object['oid']}"}}}
                for lfs_object in objects
            ]
            self._answer({"transfer": "basic", "objects": actions})
        elif "/commit/" in path:
            self._commit(re.search(r"/api/models/(.+)/commit/", path)[1], body)
        else:
            self._answer({})

    @staticmethod
    def _mode(path: str) -> str:
        return "lfs" if path.endswith(".safetensors") else "regular"

    def _commit(self, name: str, body: bytes) -> None:
        if self.server.refuse_with is not None:
            self._answer({"error": "no space left"}, status=self.server.refuse_with)
            return
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.server.repositories[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.server.repositories[name][value["path"]] = self.server.large[value["oid"]]
        url = f"{self.server.address}/{name}/commit/{COMMIT}"
        self._answer({"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""})

    def do_PUT(self) -> None:
        data = self._body()
        self.server.large[hashlib.sha256(data).hexdigest()] = data
        self._answer({})

    def do_GET(self) -> None:
        path = urlsplit(unquote(self.path)).path
        model_path = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/[^/]+)?", path)
        if model_path and model_path[1] in self.server.repositories:
            files = self.server.repositories[model_path[1]]
            if model_path[2] == "tree":
                rows = [
                    {"type": "file", "path": path_in_repository, "size": len(data), "oid": _oid(data)}
                    for path_in_repository, data in files.items()
                ]
                self._answer(rows)
            else:
                siblings = [{"rfilename": path_in_repository} for path_in_repository in files]
                self._answer(
                    {
                        "id": model_path[1],
                        "modelId": model_path[1],
                        "sha": COMMIT,
                        "siblings": siblings,
                        "private": False,
                    }
                )
            return
        file_path = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        data = self.server.repositories.get(file_path[1], {}).get(file_path[2]) if file_path else None
        if data is None:
            self._answer({"error": "Repository not found"}, status=404, X_Error_Code="RepoNotFound")
            return
        self._answer(data=data, ETag=f'"{_oid(data)}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET  # noqa: N815


def _oid(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that answers until the block ends."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
