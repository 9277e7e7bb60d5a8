"""Where a build gets its files from: the web, Git, named contexts; `COPY --parents` and its like."""

import base64
import gzip
import hashlib
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tarballs import tar_of
from test_build import build, no_cache_from_other_tests, run  # noqa: F401
from waiting import wait_for
from web import free_port


@pytest.fixture
def site():
    """A web server whose pages the test sets; it counts what it is asked for."""

    class Site(ThreadingHTTPServer):
        pages, asked, redirects = {}, [], {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            site = self.server
            site.asked.append((self.path, self.headers.get("Authorization")))
            if self.path in site.redirects:
                return self.answer(302, b"", Location=site.redirects[self.path])
            if self.path not in site.pages:
                return self.answer(404, b"nothing")
            content = site.pages[self.path]
            etag = '"' + hashlib.sha256(content).hexdigest() + '"'
            if self.headers.get("If-None-Match") == etag:
                return self.answer(304, b"")
            self.answer(200, content, ETag=etag, **{"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"})

        def answer(self, status, content, **headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    server = Site(("127.0.0.1", 0), Handler)
    server.pages, server.asked, server.redirects = {}, [], {}
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_files_of_the_web(cli, site, context):
    site.pages["/f.txt"] = b"from the web\n"
    site.pages["/a.tgz"] = gzip.compress(tar_of({"in/side": b"packed\n"}))
    site.redirects["/moved"] = "/f.txt"
    digest = "sha256:" + hashlib.sha256(b"from the web\n").hexdigest()
    directory = context({"Dockerfile": f"""FROM busybox
ADD {site.url}/f.txt /d/
ADD --chmod=644 --chown=alice {site.url}/moved /moved.txt
ADD {site.url}/a.tgz /as-it-is.tgz
ADD --unpack=true {site.url}/a.tgz /unpacked/
ADD --checksum={digest} {site.url}/f.txt /checked
"""})
    build(cli, directory)
    said = run(cli, "sh", "-c", "stat -c '%a %u %Y' /d/f.txt; stat -c '%a %u' /moved.txt; cat /checked /unpacked/in/side; gzip -t /as-it-is.tgz")
    assert said == "600 0 1445412480\n644 1234\nfrom the web\npacked\n"
    asked = len(site.asked)
    assert build(cli, directory).all.count("ACHED") + build(cli, directory).all.count("Using cache") >= 5
    site.pages["/f.txt"] = b"changed\n"
    assert "digest mismatch" in build(cli, directory, "--no-cache", code=1).err
    assert len(site.asked) > asked


@pytest.mark.parametrize("line, message", [
    ("ADD {url}/nosuch /x", "404"),
    ("ADD {url}/ /x/", "cannot determine filename from url"),
    ("ADD http://127.0.0.1:9/x /x", "connection refused"),
    ("ADD {url}/away /x", "redirect"),
    ("ADD ftp://127.0.0.1/x /x", "only http, https and Git"),
    ("ADD http://user:secret@127.0.0.1/x /x", "user names and passwords"),
    ("ADD http://user:secret@127.0.0.1:9/a.git /x", "Git address http://127.0.0.1:9/a.git"),
    ("ADD git@127.0.0.1:a.git /x", "Git by SSH"),
    ("ADD http://127.0.0.1:9/a.git#--upload-pack=x /x", "invalid Git ref"),
    ("ADD git://127.0.0.1:9/a /x", "failed to fetch"),
])
def test_what_cannot_be_fetched_is_explained(engine, skiff, site, context, line, message):
    site.redirects["/away"] = "file:///etc/passwd"
    failed = build(skiff, context({"Dockerfile": f"FROM busybox\n{line.format(url=site.url)}\n"}), code=1)
    assert message.lower() in failed.err.lower()
    assert not [path for path in (engine.data_root / "tmp").iterdir() if path.name.startswith(("build-", "context-", "fetch-"))]


def test_credentials_come_from_secrets(skiff, site, context, tmp_path):
    site.pages["/f"] = b"x"
    host = site.url.removeprefix("http://")
    (tmp_path / "token").write_text("the-token\n")
    directory = context({"Dockerfile": f"FROM busybox\nADD {site.url}/f /f\n"})
    skiff("build", "--secret", f"id=HTTP_AUTH_TOKEN_{host},src={tmp_path / 'token'}", "-t", "built", directory)
    assert site.asked == [("/f", "Bearer the-token")]
    # A repository that is not there is enough to see what git shows to whom.
    directory = context({"Dockerfile": f"FROM busybox\nADD {site.url}/private.git /f\n"}, "git")
    failed = skiff("build", "--secret", f"id=GIT_AUTH_TOKEN.{host},src={tmp_path / 'token'}", directory, code=1)
    assert "failed to fetch" in failed.err and "the-token" not in failed.all
    shown = "basic " + base64.b64encode(b"x-access-token:the-token").decode()
    assert site.asked[1] == ("/private.git/info/refs?service=git-upload-pack", shown)


# -- Git


def git(directory, *arguments):
    env = {"PATH": os.environ["PATH"], "HOME": str(directory), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "t", f"GIT_{role}_EMAIL": "t@example.org", f"GIT_{role}_DATE": "2020-01-01T00:00:00Z"}
    return subprocess.run(
        ["git", "-C", str(directory), *arguments], env=env, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A Git server with one repository: a tag, a branch, a folder with a Dockerfile and a link that leads out."""
    root = tmp_path_factory.mktemp("git")
    work = root / "project.git"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    (work / "docs").mkdir()
    (work / "docs/Dockerfile").write_text("FROM busybox\nCOPY page /page\n")
    (work / "docs/page").write_text("first\n")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "out").symlink_to("/etc")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "first")
    git(work, "tag", "-a", "-m", "a tag", "v1")
    (work / "docs/page").write_text("second\n")
    git(work, "commit", "-q", "-am", "second")
    # What a submodule says is asked for with the same rules: files of this host are not to be had.
    evil = root / "evil.git"
    evil.mkdir()
    git(evil, "init", "-q", "-b", "main")
    (evil / ".gitmodules").write_text(f'[submodule "s"]\n\tpath = s\n\turl = file://{work}\n')
    git(evil, "add", "-A")
    git(evil, "update-index", "--add", "--cacheinfo", "160000," + git(work, "rev-parse", "HEAD") + ",s")
    git(evil, "commit", "-q", "-m", "evil")
    # A hook of the server's copy must not run anywhere.
    hook = work / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {root}/hooked\n")
    hook.chmod(0o755)
    port = free_port()
    server = subprocess.Popen(
        ["/usr/lib/git-core/git-daemon", "--listen=127.0.0.1", f"--port={port}", "--export-all", f"--base-path={root}", str(root)],
        stderr=subprocess.DEVNULL)
    wait_for(lambda: _answers(port), "the Git server to listen")
    yield type("Repository", (), {
        "url": f"git://127.0.0.1:{port}/project.git", "root": root,
        "first": git(work, "rev-parse", "v1^{commit}"), "second": git(work, "rev-parse", "HEAD")})
    server.terminate()
    server.wait(20)


def _answers(port):
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_git_repositories(skiff, repository, context):
    directory = context({"Dockerfile": f"""FROM busybox
ADD {repository.url} /head
ADD {repository.url}#v1:docs /tagged
ADD --checksum={repository.first[:12]} {repository.url}?tag=v1 /checked
ADD --keep-git-dir=true {repository.url}#{repository.first} /whole
"""})
    build(skiff, directory)
    said = run(skiff, "sh", "-c", "cat /head/docs/page /tagged/page /checked/docs/page; ls -A /head; stat -c %a /head/run.sh /head/docs/page;"
                                "readlink /head/out; cat /whole/.git/HEAD")
    assert said == f"second\nfirst\nfirst\ndocs\nout\nrun.sh\n755\n644\n/etc\n{repository.first}\n"
    # What is left out belongs to what is copied.
    for option, listed in (("", "Dockerfile\npage\n"), (" --exclude=page", "Dockerfile\n")):
        build(skiff, context({"Dockerfile": f"FROM busybox\nADD{option} {repository.url}#v1:docs /d\n"}, "part"), tag="part")
        assert run(skiff, "ls", "/d", image="part") == listed
    again = build(skiff, directory)
    assert again.all.count("ACHED") + again.all.count("Using cache") == 4
    assert not (repository.root / "hooked").exists()
    wrong = context({"Dockerfile": f"FROM busybox\nADD --checksum={repository.second} {repository.url}#v1 /x\n"}, "wrong")
    assert "expected checksum to match" in build(skiff, wrong, code=1).err
    for reference, message in (("nosuch", "does not contain ref nosuch"), ("main:nosuch", "has no directory nosuch"), ("main:out/ssl", "has no directory")):
        bad = context({"Dockerfile": f"FROM busybox\nADD {repository.url}#{reference} /x\n"}, "bad")
        assert message in build(skiff, bad, code=1).err


def test_a_submodule_does_not_read_files_of_the_host(skiff, repository, context):
    address = repository.url.replace("project", "evil")
    failed = skiff("build", context({"Dockerfile": f"FROM busybox\nADD {address} /x\n"}), code=1)
    assert "transport 'file' not allowed" in failed.err
    skiff("build", "-t", "built", context({"Dockerfile": f"FROM busybox\nADD {address}?submodules=false /x\n"}, "without"))
    assert run(skiff, "ls", "/x/s") == ""


def test_remote_contexts(engine, skiff, client, site, repository):
    skiff("build", "-t", "built", f"{repository.url}#v1:docs")
    assert run(skiff, "cat", "/page") == "first\n"
    site.pages["/context.tar.gz"] = gzip.compress(tar_of({"Dockerfile": b"FROM busybox\nCOPY f /page\n", "f": b"archive\n"}))
    skiff("build", "-t", "built", f"{site.url}/context.tar.gz")
    assert run(skiff, "cat", "/page") == "archive\n"
    site.pages["/lone"] = b"FROM busybox\nRUN echo lone > /page\n"
    skiff("build", "-t", "built", f"{site.url}/lone")
    assert run(skiff, "cat", "/page") == "lone\n"
    assert "has no directory" in skiff("build", f"{repository.url}#main:out", code=1).err
    assert not [path for path in (engine.data_root / "tmp").iterdir() if path.name.startswith(("build-", "context-", "fetch-"))]


def test_named_contexts(skiff, context, site, repository):
    other = context({"f": "other\n", "ignored": "x", ".dockerignore": "ignored\n"}, "other")
    skiff("tag", "busybox", "base:1")
    directory = context({"Dockerfile": """FROM nowhere.invalid/base AS base
FROM base
COPY --from=other f /f
COPY --from=repo docs/page /page
RUN --mount=from=other,target=/m ls -A /m > /names
"""})
    skiff(
        "build", "-t", "built", "--build-context", f"other={other}", "--build-context", "base=docker-image://base:1",
        "--build-context", f"repo={repository.url}", directory)
    assert run(skiff, "cat", "/f", "/page", "/names") == "other\nsecond\n.dockerignore\nf\n"
    skiff("rmi", "base:1")
    assert "not found" in skiff("build", "--build-context", "x=/nosuch", directory, code=1).err
    assert "not available" in skiff("build", "--build-context", "x=oci-layout:///x", directory, code=None).err


def test_parents_links_and_letters(skiff, context):
    directory = context({
        "a/top.md": "4", "Dockerfile": """FROM busybox
RUN mkdir /real && ln -s /real /link
COPY --parents ./a/./b/*.txt a/**/*.md /p/
COPY --link --chown=1234:44 a/one /link/one
COPY --chmod=u+x,go=r a/one /modes
COPY --exclude=*.md a /excluded/
""", "a/one": "1", "a/b/two.txt": "2", "a/b/c/three.md": "3"})
    build(skiff, directory)
    said = run(skiff, "sh", "-c", "cd /p; find . -type f | sort; stat -c '%u:%g' /link/one; ls -A /real; stat -c %a /modes; cd /excluded; find . -type f | sort")
    assert said == "./a/b/c/three.md\n./a/top.md\n./b/two.txt\n1234:44\n744\n./b/c/three.md\n./b/two.txt\n./one\n"
