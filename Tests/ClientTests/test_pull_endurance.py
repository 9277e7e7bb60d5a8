"""Pulls that are killed, run out of room or lose their link, again and again: each ends complete and verified, brings nothing
twice but what was in memory, and leaves nothing. A few of each; fifty with SKIFF_LONG_TESTS."""

import errno
import json
import os
import random
import signal
import subprocess
import threading

import pytest

from registries import FaultRegistry, HandMadeImage, digest_of, make_layer
from waiting import wait_for

LONG = bool(os.environ.get("SKIFF_LONG_TESTS"))
# Of one connection: what is gathered before it is written, what is read from a socket at a time, and one such piece in between.
IN_MEMORY = (256 + 64 + 64) << 10
MB = 1 << 20
# A blob on its way is noted down in pieces of this size.
PIECE = 4 * MB
SEED = random.randrange(1 << 32)


@pytest.fixture
def faulty():
    registry = FaultRegistry()
    print(f"seed {SEED}")
    yield registry
    registry.stop()


def image_of(registry, chance, number, sizes):
    """An image whose bytes nobody has seen before."""
    layers = [make_layer({f"file-{number}-{index}": chance.randbytes(size)}, compress=index % 2 == 0) for index, size in enumerate(sizes)]
    registry.blobs.clear()
    registry.sendings.clear()
    registry.sent.clear()
    return HandMadeImage(layers).put(registry, "endurance", f"{number}")


def sent(registry):
    return sum(registry.sent.values())


def kill(engine, registry):
    """As `kill -9` does; what the kernel has for the engine then is counted as never received."""
    with registry.gate:
        os.kill(engine.process.pid, signal.SIGSTOP)
        registry.note_unread()
        engine.kill()


def kept(engine, image):
    """By layer, the runs of its bytes that the engine has on disk; all of them when the layer is in the store."""
    found = {}
    for data, diff in zip(image.layers, json.loads(image.config)["rootfs"]["diff_ids"]):
        digest, downloads = digest_of(data), engine.data_root / "downloads"
        hexadecimal = digest.split(":")[1]
        if (engine.data_root / "layers" / diff.split(":")[1]).exists() or (downloads / f"{hexadecimal}.ready").exists():
            found[digest] = [range(len(data))]
        elif (downloads / f"{hexadecimal}.map").exists():
            counts = memoryview((downloads / f"{hexadecimal}.map").read_bytes()).cast("q")
            found[digest] = [range(piece * PIECE, piece * PIECE + count) for piece, count in enumerate(counts)]
    return found


def overlap(one, other):
    return max(0, min(one.stop, other.stop) - max(one.start, other.start))


def assert_whole(engine, image, name):
    """All of the image is there: its layers give back the tars that their digests were made of."""
    assert engine.skiff("image", "inspect", "-f", "{{.Id}}", name).line == image.id
    saved = subprocess.run([*engine.skiff.argv, "save", name], env=engine.skiff.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert saved.returncode == 0, saved.stderr


def assert_nothing_left(engine, name):
    engine.skiff("rmi", name)
    for folder, usual in (("downloads", []), ("tmp", []), ("layers", ["empty"])):
        wait_for(lambda: sorted(os.listdir(engine.data_root / folder)) == usual, f"nothing but {usual} in {folder}")


def sizes_of(number):
    """Every third image has a layer that comes over several connections."""
    return [33 * MB, MB] if number % 3 == 2 else [3 * MB // 2, 3 * MB, MB // 2]


def test_pulls_that_are_killed_at_random_moments(own_engine, faulty):
    engine = own_engine(image=False)
    chance = random.Random(SEED)
    kills, again, pulls = 0, [], 50 if LONG else 4
    for number in range(pulls):
        image = image_of(faulty, chance, number, sizes_of(number))
        total = sum(map(len, image.layers))
        name = f"{faulty.host}/endurance:{number}"
        faulty.bytes_per_second = total // 2
        for _ in range(chance.choice((1, 2, 2))):
            pull = engine.skiff.start("pull", name)
            target = chance.randrange(min(sent(faulty), total), total + 2) - 1
            wait_for(lambda: sent(faulty) > target or pull.poll() is not None, "some bytes")
            # Often before the first byte is on the disk, or when the last one is there and the layers are being unpacked.
            threading.Event().wait(chance.choice((0, 0, 0.03)))
            kill(engine, faulty)
            pull.communicate(timeout=20)
            kills += 1
            engine.start()
        faulty.bytes_per_second = None
        engine.skiff("pull", name)
        assert_whole(engine, image, name)
        fetched_again = faulty.fetched_again()
        assert max(fetched_again) <= IN_MEMORY, (number, fetched_again)
        again.append(sum(fetched_again))
        assert_nothing_left(engine, name)
    print(f"{pulls} pulls, {kills} kills: {sum(again) / kills / 1024:.0f} KiB came again after a kill, at most {max(again) / 1024:.0f} KiB of one image")


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "none", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def fill(path):
    """Takes all the room that a disk has."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(MB))
        except OSError as error:
            assert error.errno == errno.ENOSPC
            return
    # The last piece was cut to what was left.


def test_pulls_whose_disk_is_filled_at_random_moments(small_disk, own_engine, faulty):
    engine = own_engine(data_root=small_disk / "data", image=False)
    filler = small_disk / "filler"
    chance = random.Random(SEED)
    failures, pulls = 0, 50 if LONG else 3
    for number in range(pulls):
        image = image_of(faulty, chance, number, sizes_of(number))
        total = sum(map(len, image.layers))
        name = f"{faulty.host}/endurance:{number}"
        faulty.bytes_per_second = total // 2
        on_disk = []
        for _ in range(chance.choice((1, 2))):
            pull = engine.skiff.start("pull", name)
            target = chance.randrange(min(sent(faulty), total), total + 2) - 1
            wait_for(lambda: sent(faulty) > target or pull.poll() is not None, "some bytes")
            fill(filler)
            output = pull.communicate(timeout=30)[0].decode()
            if pull.returncode:
                assert "no space left on device" in output.lower() or "disk is full" in output.lower(), output
                failures += 1
            assert engine.client.ping()
            filler.unlink()
            on_disk.append((len(faulty.sendings), kept(engine, image)))
        faulty.bytes_per_second = None
        engine.skiff("pull", name)
        assert_whole(engine, image, name)
        for index, found in on_disk:
            # What was on the disk when the pull failed does not come again.
            for sending in faulty.sendings[index:]:
                assert not any(overlap(sending.received, run) for run in found.get(sending.digest, [])), (number, sending.received, found)
        # Sockets hold some more, and a full disk takes nothing of what comes after.
        assert sum(faulty.fetched_again()) <= sum(map(len, image.layers)) // 2, faulty.fetched_again()
        assert_nothing_left(engine, name)
    print(f"{pulls} pulls, {failures} that failed for want of room")
    assert failures >= pulls // 2


def test_pulls_over_a_link_that_drops_every_second(own_engine, faulty):
    engine = own_engine(image=False)
    chance = random.Random(SEED)
    drops, again, pulls = 0, [], 10 if LONG else 1
    for number in range(pulls):
        image = image_of(faulty, chance, number, [33 * MB, MB])
        name = f"{faulty.host}/endurance:{number}"
        faulty.bytes_per_second = 3 * MB
        pull = engine.skiff.start("pull", name)
        while pull.poll() is None:
            threading.Event().wait(1)
            faulty.cut()
            drops += 1
        output = pull.communicate(timeout=20)[0].decode()
        assert pull.returncode == 0, output
        assert_whole(engine, image, name)
        fetched_again = faulty.fetched_again()
        assert max(fetched_again) <= IN_MEMORY, (number, fetched_again)
        again.append(sum(fetched_again))
        assert_nothing_left(engine, name)
    print(f"{pulls} pulls, {drops} drops: {sum(again) / drops / 1024:.0f} KiB came again after a drop")
    assert drops >= 2 * pulls
