"""Small Dockerfiles, each about one behaviour, with the context they are built from.

What comes out of them is compared with what Docker's own classic builder makes of the same archive: test_build_equality.py.
"""

import io
import subprocess
import tarfile
from dataclasses import dataclass, field

# The time of every file of a context.
TIME = 1_000_000_000
# `cap_net_raw+ep`, as the kernel keeps it.
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


@dataclass
class Entry:
    """Something in a context or an archive that is not just a readable file."""

    content: bytes = b""
    mode: int = 0o644
    kind: bytes = tarfile.REGTYPE
    owner: int = 0
    group: int = 0
    link: str = ""
    capability: bytes = b""


def folder(mode=0o755, owner=0, group=0):
    return Entry(mode=mode, kind=tarfile.DIRTYPE, owner=owner, group=group)


def link(target):
    return Entry(kind=tarfile.SYMTYPE, mode=0o777, link=target)


def same_file(name, mode=0o644, owner=0, group=0):
    return Entry(kind=tarfile.LNKTYPE, link=name, mode=mode, owner=owner, group=group)


def file(content, mode=0o644, owner=0, group=0):
    return Entry(content=content, mode=mode, owner=owner, group=group)


def archive(entries, packing=None):
    """A tar of the entries, in the order given, packed by a command; without the times and names of the packing."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, entry in entries.items():
            if not isinstance(entry, Entry):
                entry = Entry(entry.encode() if isinstance(entry, str) else entry)
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid, info.gid, info.linkname = entry.kind, entry.mode, entry.owner, entry.group, entry.link
            info.mtime, info.size = TIME, len(entry.content)
            if entry.capability:
                info.pax_headers = {"SCHILY.xattr.security.capability": entry.capability.decode("utf-8", "surrogateescape")}
            tar.addfile(info, io.BytesIO(entry.content))
    packed = buffer.getvalue()
    return subprocess.run(packing, input=packed, capture_output=True, check=True).stdout if packing else packed


@dataclass
class Case:
    dockerfile: str
    files: dict = field(default_factory=dict)
    arguments: dict = field(default_factory=dict)
    labels: dict = field(default_factory=dict)
    target: str = ""
    # The archive is made by the client, which leaves out what `.dockerignore` says.
    by_command: bool = False

    def context(self):
        return archive({"Dockerfile": self.dockerfile} | self.files)


SMALL = {"one": "1", "two": "22"}
TREE = {
    "d": folder(), "d/f": "f", "d/run": file(b"#!/bin/sh\n", 0o755), "d/empty": folder(), "d/sub": folder(0o750), "d/sub/g": file(b"g", 0o600),
    "d/sub/deep": folder(0o700), "d/sub/deep/h": "h"}
PACKED = {
    "p": folder(0o750, 1234, 44), "p/f": file(b"f", 0o640, 1234, 1234), "p/suid": file(b"s", 0o4755), "p/same": same_file("p/f", 0o640, 1234, 1234),
    "p/link": link("f"), "p/sub/g": "g"}

CASES = {
    # -- COPY
    "copy a file to a name": Case("FROM busybox\nCOPY one /x/y/z\n", SMALL),
    "copy a file into a folder that is made": Case("FROM busybox\nCOPY one /x/y/\n", SMALL),
    "copy a file to a folder that is there, without a slash": Case("FROM busybox\nCOPY one /etc\n", SMALL),
    "copy several files": Case("FROM busybox\nCOPY one two /x/\nCOPY [\"one\", \"two\", \"/y z/\"]\n", SMALL),
    "copy what is in a folder": Case("FROM busybox\nCOPY d /x\nCOPY d/ /y/\nCOPY d/. /z\n", TREE),
    "copy the whole context": Case("FROM busybox\nWORKDIR /x\nCOPY . .\n", TREE),
    "copy folders and files together": Case("FROM busybox\nCOPY d one /x/\n", TREE | SMALL),
    "copy by wildcards": Case(
        "FROM busybox\nCOPY *.txt /a/\nCOPY d?/[ab]*.c /b/\nCOPY d[^1] /c/\nCOPY e* /d/\n",
        {"1.txt": "1", "2.txt": "2", "3.md": "3", "d1/a.c": "a", "d1/b.c": "b", "d2/ax.c": "ax", "d2/c.c": "c", "ee/x": "x", "ef/y/z": "z"}),
    "copy from the context's root to above the image's": Case("FROM busybox\nCOPY /two ../../y\n", SMALL),
    "copy links in a folder": Case(
        "FROM busybox\nCOPY d /x\n",
        {"d/f": "f", "d/to-file": link("f"), "d/to-folder": link("sub"), "d/sub/g": "g", "d/absolute": link("/etc/passwd"), "d/nowhere": link("none")}),
    "copy a link by its name": Case(
        "FROM busybox\nCOPY to-file /x\nCOPY to-folder /y/\nCOPY to-folder/g /z\n",
        {"f": "f", "to-file": link("f"), "d/g": "g", "d/h/i": "i", "to-folder": link("d")}),
    "copy to where a link leads": Case(
        "FROM busybox\nRUN mkdir /real && ln -s /real /link && ln -s real/file /file\nCOPY one /link/\nCOPY d /link\nCOPY two /link/two/three\n", SMALL | TREE),
    "copy over a link to a file": Case("FROM busybox\nRUN echo old > /old && ln -s old /link\nCOPY one /link\n", SMALL),
    "copy over files and into folders": Case(
        "FROM busybox\nRUN mkdir -p /x/sub && chmod 701 /x/sub && chown 7:8 /x/sub && echo old > /x/f && chmod 600 /x/f && echo kept > /x/sub/kept\nCOPY d /x\n", TREE),
    "copy to relative places": Case("FROM busybox\nWORKDIR /a/b\nCOPY one .\nCOPY one ./n\nCOPY one sub/\nCOPY one ..\nCOPY one sub2/n\n", SMALL),
    "copy with owners": Case(
        "FROM busybox\nCOPY --chown=alice:video one /a\nCOPY --chown=alice one /b\nCOPY --chown=77 one /c\nCOPY --chown=77:88 one /d\nCOPY --chown=1000 one /e\n"
        "COPY --chown=root:staff one /f\n", SMALL),
    "copy a folder with owners": Case("FROM busybox\nRUN mkdir -p /there/sub\nCOPY --chown=alice:video d /there\nCOPY --chown=alice:video d /new\n", TREE),
    "copy a file to a new place with an owner": Case("FROM busybox\nCOPY --chown=alice:video one /new/er/\n", SMALL),
    "copy as another user": Case("FROM busybox\nUSER alice\nCOPY d /x\nCOPY one /y/z\n", TREE | SMALL),
    "owners of the context do not count": Case("FROM busybox\nCOPY d /x\nCOPY f /y\n", {"d": folder(0o755, 7, 8), "d/f": file(b"f", 0o644, 1234, 44), "f": file(b"f", 0o644, 9, 9)}),
    "copy modes": Case(
        "FROM busybox\nCOPY d /x\n", {
            "d": folder(0o1777), "d/t": file(b"t", 0o1644), "d/none": file(b"n", 0), "d/all": file(b"a", 0o777), "d/s": folder(0o2775)}),
    "copy names": Case(
        "FROM busybox\nCOPY d /x\nCOPY [\"d/with blanks\", \"/y y/\"]\nCOPY d/with\\ blanks /z\n",
        {"d/with blanks": "1", "d/ünïcödé": "2", "d/new\nline": "3", "d/back\\slash": "4", "d/" + 100 * "n": "5", "d/" + 255 * "m": "6",
         "d/" + "/".join(20 * ["long-names"]) + "/f": "7", "d/'quote\"": "8", "d/$HOME": "9", "d/-r": "10"}),
    "copy hard links": Case("FROM busybox\nCOPY d /x\nCOPY d/a d/b /y/\n", {"d/a": "a", "d/b": same_file("d/a"), "d/c/d": same_file("d/a")}),
    "copy something empty": Case("FROM busybox\nCOPY none /x\nCOPY e /y/\nCOPY e /z\n", {"none": "", "e": folder(0o711)}),
    "copy the same again": Case("FROM busybox\nCOPY d /x\nCOPY d /x\nCOPY d/f /x/\n", TREE),
    # -- from stages
    "copy from a stage by name, number and folder": Case(
        "FROM busybox AS first\nRUN mkdir -p /out/sub && echo a > /out/a && echo b > /out/sub/b\nFROM busybox\nCOPY --from=first /out /x\nCOPY --from=0 /out/a /y\nCOPY --from=FIRST out/sub/ /z/\n"),
    "what comes from a stage keeps owners, modes and links": Case(
        "FROM busybox AS first\nRUN mkdir -p /o/d && echo f > /o/f && ln /o/f /o/g && ln -s f /o/l && chown -R 1234:44 /o && chmod 2750 /o/d && chmod 4711 /o/f && chown -h 5:6 /o/l\n"
        "FROM busybox\nCOPY --from=first /o /x\nCOPY --from=first /o/f /y\nCOPY --from=first --chown=alice /o/d /z/\n"),
    "copy devices and pipes from a stage": Case("FROM busybox AS first\nRUN mkdir /o && mkfifo /o/p && mknod /o/n c 1 3 && chmod 640 /o/n\nFROM busybox\nCOPY --from=first /o /x\n"),
    "copy holes from a stage": Case("FROM busybox AS first\nRUN mkdir /o && truncate -s 3000000 /o/hole && echo end >> /o/hole\nFROM busybox\nCOPY --from=first /o /x\n"),
    "copy from an image": Case("FROM scratch\nCOPY --from=busybox /etc/passwd /etc/group /x/\nCOPY --from=busybox:latest /home /home\n"),
    "a stage that nobody needs": Case("FROM busybox AS idle\nRUN echo idle > /idle\nFROM busybox\nCOPY one /x\n", SMALL),
    "a stage upon a stage": Case("FROM busybox AS a\nENV A=1\nCMD [\"x\"]\nUSER alice\nRUN echo a > /tmp/a\nFROM a AS b\nENTRYPOINT [\"y\"]\nRUN echo $A > /tmp/b\nFROM b\nRUN id > /tmp/c\n"),
    "the target stage": Case("FROM busybox AS a\nRUN echo a > /a\nFROM busybox AS b\nRUN echo b > /b\n", target="A"),
    # -- ADD
    "add an archive": Case("FROM busybox\nADD p.tar /x\nADD p.tgz /y/\n", {"p.tar": archive(PACKED), "p.tgz": archive(PACKED, ["gzip", "-n"])}),
    "add packed archives, whatever they are called": Case(
        "FROM busybox\nADD a /x/\nADD b /y/\n", {"a": archive(PACKED, ["bzip2"]), "b": archive(PACKED, ["xz"])}),
    "add an archive over what is there": Case(
        "FROM busybox\nRUN mkdir -p /x/p/f /x/p/sub && echo kept > /x/p/sub/kept && ln -s /etc /x/p/link && chmod 711 /x/p\nADD p.tar /x\n", {"p.tar": archive(PACKED)}),
    "add several archives and files": Case("FROM busybox\nADD *.tar one /x/\n", SMALL | {"a.tar": archive({"a": "a"}), "b.tar": archive({"b": "b"})}),
    "add what only looks like an archive": Case("FROM busybox\nADD a.tar /x/\nADD b.gz /y\nADD one /z\n", SMALL | {"a.tar": "no tar", "b.gz": b"\x1f\x8b\x08nothing"}),
    "add a packed file that is no archive": Case("FROM busybox\nADD f.gz /x\nADD f.gz /y/\n", {"f.gz": bytes.fromhex("1f8b08000000000002ff4bcb0700 0000c6750000".replace(" ", ""))}),
    "add a folder with an archive": Case("FROM busybox\nADD d /x\n", {"d/p.tar": archive(PACKED), "d/f": "f"}),
    "add an archive with a capability": Case("FROM busybox\nADD p.tar /x\n", {"p.tar": archive({"f": Entry(b"f", 0o755, capability=CAPABILITY)})}),
    "copy an archive": Case("FROM busybox\nCOPY p.tar /x/\n", {"p.tar": archive(PACKED)}),
    # -- ENV and ARG
    "forms of ENV": Case("FROM busybox\nENV A=1 B='two words' C=three\\ words D=\"q\\\"q\" E=\nENV F old form  with   blanks \nENV A=changed\nENV G=$A-${B}_x H='$A' I=\\$A J=\"$A\"\n"),
    "ENV of one line sees the line before": Case("FROM busybox\nENV a=hello\nENV a=bye b=$a\nENV c=$a\n"),
    "expansion with defaults": Case(
        "FROM busybox\nENV S=set E=\nENV A=${S:-d} B=${E:-d} C=${U:-d} D=${S:+d} F=${E:+d} G=${U:+d} H=${U:-$S} I=${U:-${S}x} J=$U K=${S}x L=$S/y M=a$Sb\n"),
    "expansion in every instruction": Case(
        "FROM busybox\nENV V=/v P=8080 W=/w U=alice L=label S=SIGINT F=one\nCOPY $F ${V}/\nADD ${F} $V/two\nWORKDIR $W/sub\nEXPOSE $P ${P}/udp\nVOLUME $V\nLABEL $L=\"$U ${L}\" '$L'=1\nSTOPSIGNAL $S\n"
        "USER $U\nCMD echo $V\nENTRYPOINT [\"$V\"]\nONBUILD RUN echo $V\n", SMALL),
    "ARG with and without values": Case(
        "FROM busybox\nARG A=default\nARG B\nARG C=default\nARG D\nARG E=$A-x\nRUN echo $A $B $C $D $E > /x\nENV F=$A$B$C$D$E\n", arguments={"A": "given", "B": "given too"}),
    "ENV counts more than ARG": Case("FROM busybox\nARG A=arg\nENV A=env\nARG A=later\nRUN echo $A > /x\nENV B=$A\n", arguments={"A": "given"}),
    "ARG in front of FROM": Case("ARG TAG=latest\nARG NAME=busy\nFROM ${NAME}box:$TAG\nARG TAG\nRUN echo $TAG-$NAME > /x\nFROM busybox\nRUN echo $TAG > /y\n", arguments={"NAME": "busy"}),
    "predefined arguments": Case("FROM busybox\nRUN echo $HTTP_PROXY > /x\nARG https_proxy\nRUN echo $https_proxy > /y\n", arguments={"HTTP_PROXY": "http://u:p@h", "https_proxy": "http://s"}),
    # -- the configuration
    "WORKDIR": Case("FROM busybox\nWORKDIR /a\nWORKDIR b/../c/\nRUN pwd > /x\nWORKDIR \"/with blanks\"\nWORKDIR /etc\nWORKDIR ../tmp\n"),
    "WORKDIR of another user": Case("FROM busybox\nUSER alice\nWORKDIR /home/alice/new/er\nWORKDIR /home/alice\nRUN touch f\n"),
    "WORKDIR by a link": Case("FROM busybox\nRUN mkdir /real && ln -s /real /link\nWORKDIR /link/sub\nRUN echo x > f\n"),
    "SHELL": Case("FROM busybox\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN echo $0 > /x\nCMD a b\nENTRYPOINT c d\nHEALTHCHECK CMD e f\nSHELL [\"/bin/ash\", \"-c\"]\nRUN echo second >> /x\n"),
    "CMD and ENTRYPOINT": Case("FROM busybox\nCMD [\"a\", \"b c\"]\nENTRYPOINT [\"e\"]\nCMD   f   g\n"),
    "ENTRYPOINT takes an inherited CMD away": Case("FROM busybox\nENTRYPOINT [\"e\"]\n"),
    "a CMD before ENTRYPOINT stays": Case("FROM busybox\nCMD [\"own\"]\nENTRYPOINT e f\n"),
    "empty CMD and ENTRYPOINT": Case("FROM busybox AS a\nENTRYPOINT [\"e\"]\nCMD [\"c\"]\nFROM a\nENTRYPOINT []\nCMD []\n"),
    "what is no JSON is a command": Case("FROM busybox\nCMD ['a', 'b']\nENTRYPOINT [ \"x\" , \"y\"\n"),
    "USER by name and number": Case(
        "FROM busybox\nUSER alice\nRUN id > /tmp/a\nUSER 77\nRUN id > /tmp/b\nUSER 77:88\nRUN id > /tmp/c\nUSER alice:staff\nRUN id > /tmp/d\nUSER 1000\nRUN id > /tmp/e\nUSER root\nRUN id > /f\nUSER nobody:nogroup\n"),
    "VOLUME with content": Case("FROM busybox\nRUN mkdir /v && echo before > /v/f\nVOLUME /v\nCOPY one /v/\n", SMALL),
    "forms of VOLUME": Case("FROM busybox\nVOLUME /a /b\nVOLUME [\"/c d\", \"/a\"]\n"),
    "EXPOSE": Case("FROM busybox\nEXPOSE 80 443/tcp 53/udp\nEXPOSE 8000-8002 9000-9001/udp 80/TCP\n"),
    "LABEL": Case("FROM busybox AS a\nLABEL a=1 b=\"two words\" \"c d\"=e\nFROM a\nLABEL a=2 \\\n  f=\"multi\\\nline\" g='single $x' h=\nLABEL old form of it\n", labels={"z": "asked $for", "a": "3"}),
    "STOPSIGNAL": Case("FROM busybox\nSTOPSIGNAL 9\nSTOPSIGNAL SIGQUIT\n"),
    "HEALTHCHECK": Case("FROM busybox AS a\nHEALTHCHECK --interval=5s --timeout=1m30s --start-period=2s --retries=4 CMD [\"a\", \"b c\"]\nFROM a\n"),
    "HEALTHCHECK in a shell": Case("FROM busybox\nHEALTHCHECK --interval=1m CMD wget -q  localhost || exit 1\n"),
    "HEALTHCHECK NONE": Case("FROM busybox AS a\nHEALTHCHECK CMD a\nFROM a\nHEALTHCHECK NONE\n"),
    "ONBUILD is kept": Case("FROM busybox\nONBUILD RUN echo triggered > /x\nONBUILD COPY one /y\nonbuild env A=$B\n"),
    "ONBUILD happens": Case("FROM busybox AS a\nONBUILD RUN echo triggered > /x\nONBUILD COPY one /y\nONBUILD ENV A=1\nFROM a\nRUN cat /x /y > /z\n", SMALL),
    "MAINTAINER": Case("FROM busybox\nMAINTAINER A. Person <a@example.org>\nRUN echo x > /x\n"),
    "nothing but FROM": Case("FROM busybox\n"),
    "from nothing": Case("FROM scratch\nCOPY one /\nCMD [\"/one\"]\n", SMALL),
    "from nothing, configuration only": Case("FROM scratch\nENV A=1\nWORKDIR /w\n"),
    # -- the Dockerfile
    "continuations and comments": Case("# first\nFROM busybox\n  # indented\nRUN echo a \\\n# between\n  b \\\n\n  c > /x\nENV A=1 \\\n    B=2\nRUN echo '# no comment' > /y # shell's\n"),
    "another escape character": Case("# escape=`\nFROM busybox\nENV A=a\\b B=c`\n  D=e\nRUN echo 'x`\ny' > /x\nCOPY one C:\\x\n", SMALL),
    "keywords in any case, ends of lines of others": Case("from busybox as X\r\nrun echo a > /a\r\nEnv A=1\r\nFROM x\r\nCopy one /o\r\n", SMALL),
    "a mark in front": Case("\ufeffFROM busybox\nENV A=1\n"),
    # -- layers
    "what RUN removes and replaces": Case(
        "FROM busybox\nCOPY d /d\nRUN rm /etc/group && rm -r /d/sub && mkdir /d/sub && echo n > /d/sub/n && rm /d/f && mkdir /d/f && rm -r /d/empty && echo f > /d/empty && rm -r /home && ln -s /tmp /home\n", TREE),
    "what RUN changes in place": Case("FROM busybox\nCOPY d /d\nRUN chmod 2700 /d/sub && chown 7:8 /d/f && chmod 4755 /d/f && touch -d @5 /d/run && mv /d/sub/g /d/moved\n", TREE),
    "hard links over layers": Case("FROM busybox\nRUN echo a > /a && ln /a /b\nRUN ln /a /c && echo more >> /b\n"),
    "RUN makes everything there is": Case("FROM busybox\nRUN mkdir -m 1777 /t && mkfifo -m 622 /p && mknod -m 660 /n b 7 9 && ln -s ../nowhere /l && install -m 6755 -o 5 -g 6 /etc/passwd /s && truncate -s 2000000 /h\n"),
    "RUN in JSON and in a shell": Case("FROM busybox\nRUN [\"sh\", \"-c\", \"echo $0 $HOME $PWD > /x\", \"name\"]\nRUN echo \"$HOME\" \\$HOME '$HOME' > /y\nRUN [\"touch\", \"/with blanks\"]\n"),
    "RUN has the environment": Case("FROM busybox\nENV A=1\nARG B=2\nRUN env | grep -v HOSTNAME | sort > /x; umask >> /x; hostname | wc -l >> /x\n"),
    # -- .dockerignore
    "ignored by name and wildcard": Case(
        "FROM busybox\nCOPY . /x\n", {".dockerignore": "# comment\n*.log\n\n  d/sub  \n/two\n*/f\n", "a.log": "", "d/b.log": "b", **TREE, **SMALL}, by_command=True),
    "ignored, and not after all": Case(
        "FROM busybox\nCOPY . /x\n", {".dockerignore": "d\n!d/sub/g\n*.md\n!README*.md\nREADME-no.md\n", "a.md": "", "README.md": "r", "README-no.md": "", **TREE}, by_command=True),
    "ignored at any depth": Case(
        "FROM busybox\nCOPY . /x\n", {".dockerignore": "**/*.o\n**/deep\nd/**/g\n", "a.o": "", "b/c.o": "", "b/d/e.o": "", "b/keep": "k", **TREE}, by_command=True),
    "an ignored Dockerfile": Case("FROM busybox\nCOPY . /x\n", {".dockerignore": "Dockerfile\n.dockerignore\n", **SMALL}, by_command=True),
    "all but a few": Case("FROM busybox\nCOPY . /x\n", {".dockerignore": "*\n!one\n!d/sub\n", **SMALL, **TREE}, by_command=True),
    # -- what cannot be
    "no such file": Case("FROM busybox\nCOPY none /x\n"),
    "no file for a wildcard": Case("FROM busybox\nCOPY *.none /x/\n"),
    "several files to one name": Case("FROM busybox\nCOPY one two /x\n", SMALL),
    "an owner that nobody knows": Case("FROM busybox\nCOPY --chown=stranger one /x\n", SMALL),
    "a user that nobody knows": Case("FROM busybox\nUSER stranger\nRUN true\n"),
    "a command that fails": Case("FROM busybox\nRUN exit 3\n"),
}

# What comes out otherwise than with Docker's classic builder, and why.
DIFFERENT = {
    "copy from above the context": (
        Case("FROM busybox\nCOPY ../one /x\n", SMALL), "`..` in front of a source stays in the context, as with BuildKit; the classic builder refuses it"),
    "copy by a wildcard with a slash behind it": (
        Case("FROM busybox\nCOPY d*/ /x/\n", {"d1/f": "f"}), "the slash behind a source means nothing, as with BuildKit; for the classic builder nothing matches"),
    "copy set-id bits": (
        Case("FROM busybox\nCOPY d /x\n", {"d/u": file(b"u", 0o4755), "d/g": file(b"g", 0o2755)}),
        "they are kept; the classic builder loses those of files when it sets the owner"),
    "copy a capability": (
        Case("FROM busybox\nCOPY d /x\nCOPY d/f /y\n", {"d/f": Entry(b"f", 0o755, capability=CAPABILITY)}), "it is kept; the classic builder loses it when it sets the owner"),
    "copy to a new place with an owner": (
        Case("FROM busybox\nCOPY --chown=alice:video d /new/er\n", {"d/f": "f"}),
        "what is made in front of the destination gets the owner too, as with BuildKit; with the classic builder only for files"),
    "add an archive with an owner": (
        Case("FROM busybox\nADD --chown=alice:video p.tar /x\n", {"p.tar": archive(PACKED)}),
        "all of it gets the owner, as with BuildKit; the classic builder sets it for some"),
    "arguments of the stage below": (
        Case("FROM busybox AS a\nARG A=1\nFROM a\nRUN echo $A > /x\n"), "a stage that begins with another one has its arguments, as with BuildKit"),
    "what RUN writes to a volume": (
        Case("FROM busybox\nRUN mkdir /v\nVOLUME /v\nRUN echo written > /v/f\n"), "it is kept, as with BuildKit; the classic builder throws it away"),
    "a volume that is not there": (
        Case("FROM busybox\nVOLUME /v\nRUN test ! -e /v\n"), "`VOLUME` makes no folder, as with BuildKit; the classic builder makes it at the next `RUN`"),
    "a file over a folder in a folder": (
        Case("FROM busybox\nRUN mkdir -p /x/f\nCOPY d /x\n", {"d/f": "f"}), "that is an error, as with BuildKit; the classic builder removes the folder"),
    "a folder over a file in a folder": (
        Case("FROM busybox\nRUN mkdir /x && echo f > /x/f\nCOPY d /x\n", {"d/f/g": "g"}), "that is an error, as with BuildKit; the classic builder removes the file"),
    "a folder over a file": (Case("FROM busybox\nRUN echo f > /x\nCOPY d /x\n", {"d/f": "f"}), "the error does not tell the engine's own paths"),
    "a file below a file": (Case("FROM busybox\nCOPY one /etc/passwd/x\n", SMALL), "the error does not tell the engine's own paths"),
    "a variable that has to be set": (
        Case("FROM busybox\nENV A=\"${B:?not set}\"\n"), "the error names the line, as BuildKit's does"),
}
CASES |= {name: case for name, (case, _) in DIFFERENT.items()}
