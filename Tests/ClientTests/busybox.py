"""The one image of these tests, made from the static busybox of the host."""

import io
import subprocess
import tarfile

from tarballs import add

PROGRAM = "/bin/busybox"

PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
alice:x:1234:1234:Alice:/home/alice:/bin/sh
1000:x:2000:2000:a name made of digits:/:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP = """root:x:0:
daemon:x:1:
video:x:44:alice
alice:x:1234:
staff:x:50:alice
nogroup:x:65534:
"""


def root_filesystem():
    """A tar with busybox, a link for each of its programs, and the few files that a system needs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, mode in [("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("root", 0o700), ("var", 0o755),
                           ("proc", 0o755), ("sys", 0o755), ("dev", 0o755), ("home", 0o755)]:
            add(tar, path, mode=mode, kind=tarfile.DIRTYPE)
        add(tar, "home/alice", mode=0o750, kind=tarfile.DIRTYPE, owner=1234)
        tar.add(PROGRAM, "bin/busybox", filter=root_owned)
        for applet in subprocess.run([PROGRAM, "--list"], check=True, capture_output=True, text=True).stdout.split():
            if applet != "busybox":
                add(tar, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
        add(tar, "etc/passwd", PASSWD.encode())
        add(tar, "etc/group", GROUP.encode())
        add(tar, "etc/not-a-program", b"just text\n")
    return buffer.getvalue()


def root_owned(info):
    info.uid = info.gid = 0
    info.mode = 0o755
    return info


def load_busybox(engine):
    """Makes the image `busybox:latest` of an engine."""
    engine.client.api.import_image_from_data(
        root_filesystem(), repository="busybox", tag="latest", changes=['CMD ["sh"]'])
