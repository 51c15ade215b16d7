"""A Hugging Face hub on 127.0.0.1, as far as its client asks: repositories, commits, files, LFS of the basic kind."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class HubStub:
    """Repositories by name, each a dictionary of files; `seen` has what was asked, with the key that came along."""

    def __init__(self, *, lfs=()):
        self.repos, self.private, self.blobs, self.seen, self.lfs = {}, {}, {}, [], lfs
        self.refuse = None
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                stub.answer(self, b"")

            do_HEAD = do_GET

            def do_POST(self):
                stub.answer(self, self.rfile.read(int(self.headers.get("content-length", 0))))

            do_PUT = do_POST

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, request, body):
        path = unquote(request.path.partition("?")[0]).strip("/")
        self.seen.append((request.command, path, request.headers.get("authorization")))
        if self.refuse:
            return self.reply(request, self.refuse, {"error": "no"})
        parts = path.split("/")
        if path == "api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            known = name in self.repos
            self.repos.setdefault(name, {})
            self.private.setdefault(name, asked.get("private", asked.get("visibility") == "private"))
            return self.reply(request, 409 if known else 200, {"url": f"{self.base}/{name}"})
        if path == "api/validate-yaml":
            return self.reply(request, 200, {"errors": [], "warnings": []})
        if parts[0] == "blobs":
            self.blobs[parts[1]] = body
            return self.reply(request, 200, {})
        if path.endswith("info/lfs/objects/batch"):
            objects = [
                {**each, "actions": {"upload": {"href": f"{self.base}/blobs/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            return self.reply(request, 200, {"transfer": "basic", "objects": objects})
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        if name not in self.repos:
            return self.reply(request, 404, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"})
        rest = parts[4:] if parts[0] == "api" else parts[2:]
        return getattr(self, f"_{rest[0] if rest else 'revision'}")(request, name, rest[1:], body)

    def sha(self, name):
        return hashlib.sha1(json.dumps(sorted((k, len(v)) for k, v in self.repos[name].items())).encode()).hexdigest()

    def _preupload(self, request, name, rest, body):
        modes = [
            {
                "path": f["path"],
                "uploadMode": "lfs" if f["path"].endswith(self.lfs) else "regular",
                "shouldIgnore": False,
            }
            for f in json.loads(body)["files"]
        ]
        self.reply(request, 200, {"files": modes})

    def _commit(self, request, name, rest, body):
        for line in map(json.loads, body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.repos[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.repos[name][value["path"]] = self.blobs[value["oid"]]
        url = f"{self.base}/{name}/commit/{self.sha(name)}"
        self.reply(request, 200, {"commitUrl": url, "commitOid": self.sha(name), "commitMessage": "", "success": True})

    def _revision(self, request, name, rest, body):
        if rest and rest[0] not in ("main", self.sha(name)):
            return self.reply(request, 404, {"error": "none"}, {"X-Error-Code": "RevisionNotFound"})
        files = [{"rfilename": each} for each in self.repos[name]]
        return self.reply(
            request, 200, {"id": name, "sha": self.sha(name), "private": True, "siblings": files, "tags": []}
        )

    def _tree(self, request, name, rest, body):
        files = [{"type": "file", "path": p, "size": len(b), "oid": "0" * 40} for p, b in self.repos[name].items()]
        self.reply(request, 200, files)

    def _resolve(self, request, name, rest, body):
        content = self.repos[name].get("/".join(rest[1:]))
        if content is None:
            return self.reply(request, 404, {"error": "none"}, {"X-Error-Code": "EntryNotFound"})
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        return self.reply(request, 200, content, {"X-Repo-Commit": self.sha(name), "ETag": etag})

    def reply(self, request, status, content, headers=None):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)
