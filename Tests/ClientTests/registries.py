"""Registries for the tests: Debian's, and one of our own in this process that can be told to misbehave."""

import base64
import gzip
import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tarballs import tar_of
from waiting import wait_for
from web import free_port

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# -- Debian's docker-registry


class DebianRegistry:
    """`docker-registry serve` on a port of this host, with its storage below a directory."""

    def __init__(self, directory, auth="", tls=None):
        self.directory = Path(directory)
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.tls = tls
        http = f"  addr: {self.host}\n" + (f"  tls:\n    certificate: {tls[0]}\n    key: {tls[1]}\n" if tls else "")
        (self.directory / "config.yml").write_text(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  delete:\n    enabled: true\n"
            f"  filesystem:\n    rootdirectory: {self.directory / 'storage'}\nhttp:\n{http}{auth}")
        self.log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            ["docker-registry", "serve", self.directory / "config.yml"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_for(self._listens, "the registry to listen")

    def _listens(self):
        assert self.process.poll() is None, (self.directory / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


def htpasswd_auth(directory, users):
    file = Path(directory) / "htpasswd"
    lines = [subprocess.run(["htpasswd", "-nbBC", "4", user, password], check=True, capture_output=True, text=True).stdout for user, password in users.items()]
    file.write_text("".join(lines))
    return f"auth:\n  htpasswd:\n    realm: tests\n    path: {file}\n"


def token_auth(tokens):
    return f"auth:\n  token:\n    realm: {tokens.realm}\n    service: tests\n    issuer: tests\n    rootcertbundle: {tokens.certificate}\n"


def make_authority(directory, name="127.0.0.1"):
    """A certificate authority, and a certificate of it for an address: (authority, certificate, key)."""
    directory = Path(directory)
    run = lambda *arguments: subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=directory)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=authority of the tests", "-keyout", "ca.key", "-out", "ca.crt")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=registry", "-keyout", "server.key", "-out", "server.csr")
    (directory / "extensions").write_text(f"subjectAltName=IP:{name}\n")
    run("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions", "-out", "server.crt")
    return directory / "ca.crt", directory / "server.crt", directory / "server.key"


class TokenServer:
    """Gives out tokens as docs.docker.com/registry/spec/auth/jwt wants them; asks for a password before a push."""

    def __init__(self, directory, users, lifetime=300):
        self.directory = Path(directory)
        self.users = users
        self.lifetime = lifetime
        self.requests = []
        self.refresh_tokens = {}
        self.certificate = self.directory / "token.crt"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens", "-keyout", self.directory / "token.key", "-out", self.certificate],
            check=True, capture_output=True)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.realm = f"http://127.0.0.1:{self.server.server_port}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def _handler(server):
        from urllib.parse import parse_qs, urlsplit

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                query = parse_qs(urlsplit(self.path).query)
                user = None
                given = self.headers.get("Authorization", "")
                if given.startswith("Basic "):
                    name, password = base64.b64decode(given[6:]).decode().split(":", 1)
                    if server.users.get(name) != password:
                        return self.answer(401, {"details": "incorrect username or password"})
                    user = name
                self.give(user, query, query.get("offline_token") == ["true"])

            def do_POST(self):
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                user = server.refresh_tokens.get(form.get("refresh_token", [""])[0])
                if user is None:
                    return self.answer(401, {"details": "unknown refresh token"})
                self.give(user, form, False)

            def give(self, user, query, wants_refresh):
                scopes = " ".join(query.get("scope", [])).split()
                server.requests.append((self.command, user, scopes))
                access = []
                for scope in scopes:
                    kind, name, actions = scope.split(":")
                    allowed = [action for action in actions.split(",") if user or action == "pull"]
                    access.append({"type": kind, "name": name, "actions": allowed})
                answer = {"token": server.sign(user or "", access), "expires_in": server.lifetime}
                if wants_refresh and user:
                    answer["refresh_token"] = f"refresh-{user}"
                    server.refresh_tokens[f"refresh-{user}"] = user
                self.answer(200, answer)

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        return Handler

    def sign(self, subject, access):
        encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
        der = ssl.PEM_cert_to_DER_cert(self.certificate.read_text())
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {"iss": "tests", "sub": subject, "aud": "tests", "exp": now + 300, "nbf": now - 10, "iat": now, "jti": os.urandom(8).hex(), "access": access}
        text = encode(json.dumps(header).encode()) + b"." + encode(json.dumps(claims).encode())
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.directory / "token.key"], input=text, check=True, capture_output=True).stdout
        return (text + b"." + encode(signature)).decode()


# -- images made by hand


def make_layer(files, compress=True):
    """(bytes, diff id) of a layer with files by name."""
    data = tar_of(files, mode=0o755)
    return (gzip.compress(data, 1, mtime=0) if compress else data), digest_of(data)


class HandMadeImage:
    """An image whose every byte the test knows."""

    def __init__(self, layers, architecture="amd64", kind=DOCKER_MANIFEST, **config):
        self.layers = [data for data, _ in layers]
        self.config = json.dumps({
            "architecture": architecture, "os": "linux", "config": config or {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in layers]},
        }).encode()
        names = {DOCKER_MANIFEST: ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
                 OCI_MANIFEST: ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip")}[kind]
        self.kind = kind
        self.document = {
            "schemaVersion": 2, "mediaType": kind,
            "config": {"mediaType": names[0], "digest": digest_of(self.config), "size": len(self.config)},
            "layers": [{"mediaType": names[1], "digest": digest_of(data), "size": len(data)} for data in self.layers],
        }

    @property
    def manifest(self):
        return json.dumps(self.document).encode()

    @property
    def id(self):
        return digest_of(self.config)

    def put(self, registry, name, tag="latest"):
        for data in [self.config, *self.layers]:
            registry.blobs[digest_of(data)] = data
        registry.put_manifest(name, tag, self.manifest, self.kind)
        return self


# -- a registry that can be told to misbehave


class Sending:
    """A run of bytes of a blob that goes, or went, over one connection."""

    def __init__(self, digest, start, client_port):
        self.digest = digest
        self.start = start
        self.sent = 0
        self.client_port = client_port
        self.is_over = False
        # What the kernel threw away when the other side was killed, or the connection cut.
        self.unread = 0

    @property
    def received(self):
        """The bytes that the other side has read."""
        return range(self.start, self.start + self.sent - self.unread)


class FaultRegistry:
    """Serves what is in its dictionaries, and counts what it sends, in all (`sent`) and run by run (`sendings`).
    `fault(request)` may do something else first: it answers True when it has dealt with the request."""

    def __init__(self, tls=None):
        self.blobs = {}
        self.manifests = {}
        self.sent = {}
        self.sendings = []
        self.connections = set()
        self.requests = []
        self.fault = None
        self.ranges = True
        self.bytes_per_second = None
        self.lock = threading.Lock()
        # Nothing is sent while somebody holds it.
        self.gate = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_port
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def put_manifest(self, name, tag, data, kind):
        self.manifests[(name, tag)] = (data, kind)
        self.manifests[(name, digest_of(data))] = (data, kind)

    def paths(self, part=""):
        return [path for method, path, _ in self.requests if part in path]

    def note_unread(self):
        """Of what is under way now, the bytes that the kernel holds on both sides. For the holder of the gate, when the other
        side has stopped and will not read them any more."""
        queues = {}
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            ports = tuple(int(fields[side].split(":")[1], 16) for side in (1, 2))
            queues[ports] = [int(number, 16) for number in fields[4].split(":")]
        for sending in self.sendings:
            if not sending.is_over:
                port = sending.client_port
                sending.unread = queues.get((port, self.port), (0, 0))[1] + queues.get((self.port, port), (0, 0))[0]

    def cut(self):
        """Ends all connections, as a link does that goes away."""
        with self.gate:
            for connection in list(self.connections):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # It has gone by itself.

    def fetched_again(self):
        """For each run of bytes that the other side has read, how many of them it has read once more later."""
        again = []
        for index, sending in enumerate(self.sendings):
            count, place = 0, sending.received.start
            later = (other.received for other in self.sendings[index + 1:] if other.digest == sending.digest)
            for other in sorted(later, key=lambda other: other.start):
                place = max(place, other.start)
                end = min(sending.received.stop, other.stop)
                if place < end:
                    count, place = count + end - place, end
            again.append(count)
        return again

    def _handler(registry):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_registry = registry

            def setup(self):
                super().setup()
                registry.connections.add(self.request)

            def finish(self):
                registry.connections.discard(self.request)
                super().finish()

            def log_message(self, *_):
                pass

            def handle(self):
                try:
                    super().handle()
                except (ConnectionError, ssl.SSLError, TimeoutError):
                    pass  # The other side has gone.

            def do_GET(self):
                with registry.lock:
                    registry.requests.append((self.command, self.path, dict(self.headers)))
                if registry.fault and registry.fault(self):
                    return
                self.usual()

            do_HEAD = do_GET

            def usual(self):
                if self.path == "/v2/":
                    return self.reply(200, b"{}")
                blob = re.fullmatch(r"(?:/storage|/v2/(.+)/blobs)/(sha256:[0-9a-f]{64})", self.path.split("?")[0])
                if blob:
                    return self.send_blob(blob[2])
                manifest = re.fullmatch(r"/v2/(.+)/manifests/(.+)", self.path.split("?")[0])
                if manifest:
                    found = registry.manifests.get((manifest[1], manifest[2]))
                    if not found:
                        return self.failure(404, "MANIFEST_UNKNOWN", "manifest unknown")
                    return self.reply(200, found[0], {"Content-Type": found[1], "Docker-Content-Digest": digest_of(found[0])})
                self.failure(404, "NAME_UNKNOWN", "repository name not known to registry")

            def send_blob(self, digest, data=None):
                data = registry.blobs.get(digest) if data is None else data
                if data is None:
                    return self.failure(404, "BLOB_UNKNOWN", "blob unknown to registry")
                asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                start, end = 0, len(data)
                if asked and registry.ranges:
                    start, end = int(asked[1]), int(asked[2]) + 1
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(end - start))
                self.end_headers()
                if self.command != "HEAD":
                    self.pour(digest, data, start, end)

            def pour(self, digest, data, start, end, chunk=16 << 10):
                """Sends and counts, at the speed of the link."""
                sending = Sending(digest, start, self.client_address[1])
                with registry.lock:
                    registry.sendings.append(sending)
                try:
                    while start < end:
                        part = data[start:min(end, start + chunk)]
                        with registry.gate:
                            self.wfile.write(part)
                            sending.sent += len(part)
                        start += len(part)
                        with registry.lock:
                            registry.sent[digest] = registry.sent.get(digest, 0) + len(part)
                        if registry.bytes_per_second:
                            time.sleep(len(part) / registry.bytes_per_second)
                finally:
                    sending.is_over = True

            def reply(self, status, body, headers={}):
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def failure(self, status, code, message, headers={}):
                self.reply(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), headers)

            def drop(self):
                """Ends the connection without a farewell."""
                self.close_connection = True
                self.connection.close()

        return Handler


class Plan:
    """Does something else for the first matching requests: `Plan(times, matches, action)` is a fault."""

    def __init__(self, times, matches, action):
        self.left = times
        self.matches = matches
        self.action = action
        self.lock = threading.Lock()

    def __call__(self, request):
        with self.lock:
            if self.left == 0 or self.matches not in request.path:
                return False
            self.left -= 1
        return self.action(request) is not False
