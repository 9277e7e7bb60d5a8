"""Archives made in memory."""

import io
import tarfile


def tar_of(files, mode=0o644):
    """The bytes of an archive with files by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            add(tar, name, content, mode)
    return buffer.getvalue()


def add(tar, path, content=b"", mode=0o644, kind=tarfile.REGTYPE, owner=0, link=""):
    info = tarfile.TarInfo(path)
    info.mode, info.type, info.uid, info.gid, info.linkname = mode, kind, owner, owner, link
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
