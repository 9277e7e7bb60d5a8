"""What a build made, in words that do not depend on who built it or when."""

import hashlib
import io
import json
import re
import tarfile

import docker

import dockerfile_corpus
from busybox import load_busybox  # noqa: F401


def build(engine, name, case, directory):
    """Builds a case. `engine` has `client`, of docker-py, and `docker`, the command."""
    tag = f"corpus:{name}"
    if case.by_command:
        with tarfile.open(fileobj=io.BytesIO(case.context())) as tar:
            tar.extractall(directory, filter="fully_trusted")
        done = engine.docker("build", "-q", "--network", "none", "-t", tag, directory, code=None)
        if done.code:
            raise docker.errors.BuildError(done.err, [])
        return tag
    for message in engine.client.api.build(
            fileobj=io.BytesIO(case.context()), custom_context=True, tag=tag, buildargs=case.arguments, labels=case.labels, target=case.target,
            network_mode="none", rm=True, decode=True):
        if "error" in message:
            raise docker.errors.BuildError(message["error"], [])
    return tag


def described(engine, name, case, directory):
    """The image that a case makes, or the error, as lines and values for comparison."""
    number = list(dockerfile_corpus.CASES).index(name)
    try:
        tag = build(engine, str(number), case, directory)
    except (docker.errors.BuildError, docker.errors.APIError) as error:
        message = error.msg if isinstance(error, docker.errors.BuildError) else error.explanation
        return {"error": re.sub(r"[0-9a-f]{64}|/(var|tmp)/\S*", "…", message.strip())}
    try:
        base = base_image(engine)
        image = Image(engine, tag, base)
        return {"config": image.settings(), "files": image.files(base)}
    finally:
        engine.client.api.remove_image(tag, noprune=False)


def base_image(engine):
    """The image that most cases begin with, looked at once for each engine."""
    if not hasattr(engine, "base_image"):
        engine.base_image = Image(engine, "busybox:latest")
    return engine.base_image


class Image:
    def __init__(self, engine, name, base=None):
        saved = b"".join(engine.client.api.get_image(name))
        with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
            [manifest] = json.load(tar.extractfile("manifest.json"))
            self.config = json.load(tar.extractfile(manifest["Config"]))
            self.stands_on = base if base and self.layers[:1] == base.layers else None
            self.tree = dict(self.stands_on.tree) if self.stands_on else {}
            for layer in manifest["Layers"][1 if self.stands_on else 0:]:
                self._add(tar.extractfile(layer).read())

    @property
    def layers(self):
        return self.config["rootfs"]["diff_ids"]

    def _add(self, layer):
        fresh = {}
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            for member in tar:
                path = "/" + member.name.strip("/")
                directory, _, name = path.rpartition("/")
                if name == ".wh..wh..opq":
                    self._remove(directory, itself=False)
                elif name.startswith(".wh."):
                    self._remove(f"{directory}/{name[4:]}")
                elif member.islnk():
                    fresh[path] = fresh["/" + member.linkname.strip("/")]
                else:
                    fresh[path] = Item(member, tar)
        for path, item in fresh.items():
            if path in self.tree and not item.member.isdir():
                self._remove(path)
            self.tree[path] = item

    def _remove(self, path, itself=True):
        for known in [known for known in self.tree if known.startswith(path + "/") or itself and known == path]:
            del self.tree[known]

    def files(self, base):
        """What differs from the base image: a line for each path."""
        lines, names = {}, {}
        for path in sorted(self.tree):
            item = self.tree[path]
            if path != "/" and not (path in base.tree and base.tree[path].line == item.line):
                lines[path] = f"the same as {names[id(item)]}" if id(item) in names else item.line
            names.setdefault(id(item), path)
        if self.stands_on:
            lines |= {path: "gone" for path in sorted(base.tree) if path not in self.tree}
        return lines

    def settings(self):
        """The configuration of containers, without what is empty and what is about the build itself."""
        kept = {key: value for key, value in (self.config.get("config") or {}).items() if value and key not in ("Hostname", "Domainname", "Image", "ArgsEscaped")}
        return kept | ({"Author": self.config["author"]} if self.config.get("author") else {})


class Item:
    """Something in a tree."""

    KINDS = {tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link to", tarfile.FIFOTYPE: "pipe", tarfile.CHRTYPE: "device c", tarfile.BLKTYPE: "device b"}

    def __init__(self, member, tar):
        self.member = member
        words = [self.KINDS.get(member.type, "file"), f"{member.mode & 0o7777:o}" if not member.issym() else "", f"{member.uid}:{member.gid}"]
        if member.issym():
            words[1] = member.linkname
        elif member.isfile():
            content = tar.extractfile(member).read()
            words.append(f"{len(content)} {hashlib.sha256(content).hexdigest()[:12]}")
        elif member.isdev() and not member.isfifo():
            words.append(f"{member.devmajor}:{member.devminor}")
        capability = member.pax_headers.get("SCHILY.xattr.security.capability")
        if capability is not None:
            words.append("capability " + capability.encode("utf-8", "surrogateescape").hex())
        # Times of the context are kept or not; others are those of the build.
        if member.mtime == dockerfile_corpus.TIME:
            words.append("of its own time")
        self.line = " ".join(words)
