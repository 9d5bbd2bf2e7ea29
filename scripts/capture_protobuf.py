"""Record the bodies a real kubectl posts, as test data for the protobuf decoder.

    python scripts/capture_protobuf.py [OUT_DIR]

A server on loopback answers every POST with the object it was sent (as a Status where it cannot tell),
kubectl runs each command below against it, and the body of the POST lands in OUT_DIR/<name>.b64 beside
what `kubectl --dry-run=client -o json` says of the same object (<name>.json).
"""

import base64
import json
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_TARGET = Path(__file__).resolve().parent.parent / "tests/unit/api/data"
COMMANDS = {
    "service-clusterip": "service clusterip web --tcp=80:8080 --tcp=443:https",
    "service-headless": "service clusterip db --clusterip=None",
    "service-nodeport": "service nodeport web --tcp=3000:5000 --node-port=30480",
    "service-loadbalancer": "service loadbalancer web --tcp=3000:5000",
    "service-externalname": "service externalname mysql-server --external-name db.example.com",
    "deployment": "deployment web --image=kubesvc/echo --replicas=0 --port=8080",
    "configmap": "configmap settings --from-literal=mode=fast",
    "secret": "secret generic password --from-literal=word=s3cret",
    "namespace": "namespace my-ns",
    "serviceaccount": "serviceaccount builder",
    "token": "token builder --duration=10m --audience=api",
    "job": "job once --image=kubesvc/host -- true",
}


class Recorder(ThreadingHTTPServer):
    """Keeps the last POSTed body and its content type."""

    body = b""
    content_type = ""


class Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        self.server.body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.content_type = self.headers.get("Content-Type", "")
        self.answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 409, "reason": "AlreadyExists"})

    def do_GET(self) -> None:
        self.answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound"})

    def answer(self, status: dict[str, object]) -> None:
        payload = json.dumps(status).encode()
        self.send_response(int(str(status["code"])))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


def kubectl(server: Recorder, *arguments: str) -> str:
    """What kubectl prints when it talks to `server`; it may fail, the recording is what counts."""
    with tempfile.TemporaryDirectory() as home:
        run = subprocess.run(
            ["kubectl", f"--server=http://127.0.0.1:{server.server_port}", *arguments],
            env={"HOME": home, "PATH": "/usr/local/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
    return run.stdout


def capture(target: Path) -> None:
    with Recorder(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, name="recorder", daemon=True).start()
        for name, command in COMMANDS.items():
            server.body = b""
            kubectl(server, "create", *command.split())
            (target / f"{name}.b64").write_bytes(base64.encodebytes(server.body))
            print(f"{name}: {len(server.body)} bytes, {server.content_type}", file=sys.stderr)
            if expected := kubectl(server, "create", "--dry-run=client", "-o=json", *command.split()):
                (target / f"{name}.json").write_text(expected)
        server.shutdown()


if __name__ == "__main__":
    capture(Path(sys.argv[1]) if len(sys.argv) > 1 else _TARGET)
