#!/usr/bin/python3
"""A disk whose power can be cut: one file, offered by FUSE, for a loop device to stand on.

Run as a program it mounts itself over MOUNTPOINT, a plain file, and takes commands on standard
input, one line each, answering "done": `load FILE`, `freeze` (what is written from now on never
happened), `revive SEED` (the power returns: what was flushed, and of the rest what the seed says),
`quit`. Speaks the kernel's FUSE protocol itself, so nothing has to be installed. Needs root.
"""

import ctypes
import os
import pathlib
import random
import struct
import subprocess
import sys
import threading
import time

PAGE = 4096
SECTOR = 512
IN_HEADER = struct.Struct("<IIQQIIIHH")
OUT_HEADER = struct.Struct("<IiQ")
GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE = 3, 4, 14, 15, 16, 17, 18
FORGET, FSYNC, FLUSH, INIT, INTERRUPT, DESTROY, BATCH_FORGET = 2, 20, 25, 26, 36, 38, 42
WRITE_BYTES_MAX = 1 << 20
BIG_WRITES, MAX_PAGES = 1 << 5, 1 << 22
DIRECT_IO = 1
ENOSYS = 38


class Image:
    """What the disk holds for good, and what it was told since the last flush."""

    def __init__(self, size):
        self.flushed = bytearray(size)
        self.current = bytearray(size)
        self.unflushed = []
        self.frozen = False
        self.lock = threading.Lock()

    def load(self, path):
        with self.lock, open(path, "rb") as file:
            data = file.read()
            self.flushed[:len(data)] = data
            self.flushed[len(data):] = bytes(len(self.flushed) - len(data))
            self.current = bytearray(self.flushed)
            self.unflushed, self.frozen = [], False

    def read(self, offset, size):
        with self.lock:
            return bytes(self.current[offset:offset + size])

    def write(self, offset, data):
        with self.lock:
            self.current[offset:offset + len(data)] = data
            if not self.frozen:
                self.unflushed.append((offset, data))

    def flush(self):
        with self.lock:
            if self.frozen:
                return
            for offset, data in self.unflushed:
                self.flushed[offset:offset + len(data)] = data
            self.unflushed = []

    def freeze(self):
        with self.lock:
            self.frozen = True

    def revive(self, seed):
        rng = random.Random(seed)
        with self.lock:
            for offset, data in self.survivors(rng):
                self.flushed[offset:offset + len(data)] = data
            self.current = bytearray(self.flushed)
            self.unflushed, self.frozen = [], False

    def survivors(self, rng):
        kind = rng.choice(("nothing", "prefix", "torn", "pages", "pages"))
        if kind == "nothing":
            return []
        if kind == "pages":
            keep = rng.random()
            return [(offset + at, data[at:at + PAGE]) for offset, data in self.unflushed
                    for at in range(0, len(data), PAGE) if rng.random() < keep]
        prefix = self.unflushed[:rng.randrange(len(self.unflushed) + 1)]
        if kind == "torn" and prefix:
            offset, data = prefix[-1]
            sectors = rng.randrange(len(data) // SECTOR + 1)
            prefix[-1] = (offset, data[:sectors * SECTOR])
        return prefix


class Server:
    def __init__(self, image, mountpoint):
        self.image = image
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={self.fd},rootmode=100600,user_id=0,group_id=0,max_read={WRITE_BYTES_MAX}"
        if libc.mount(b"weir-disk", mountpoint.encode(), b"fuse", 0, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "mount")

    def run(self):
        while True:
            try:
                request = os.read(self.fd, WRITE_BYTES_MAX + 4096)
            except OSError:
                return  # unmounted
            _, operation, unique, *_ = IN_HEADER.unpack_from(request)
            body = memoryview(request)[IN_HEADER.size:]
            if operation in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            answer = self.answer(operation, body)
            error = -ENOSYS if answer is None else 0
            answer = answer or b""
            os.write(self.fd, OUT_HEADER.pack(OUT_HEADER.size + len(answer), error, unique) + answer)

    def answer(self, operation, body):
        if operation == INIT:
            flags = struct.unpack_from("<I", body, 12)[0] & (BIG_WRITES | MAX_PAGES)
            return struct.pack("<IIIIHHIIHH32x", 7, 31, 0, flags, 16, 12, WRITE_BYTES_MAX, 1,
                               WRITE_BYTES_MAX // PAGE, 0)
        if operation in (GETATTR, SETATTR):
            size = len(self.image.current)
            return struct.pack("<QII", 0, 0, 0) + struct.pack(
                "<6Q10I", 1, size, size // SECTOR, 0, 0, 0, 0, 0, 0, 0o100600, 1, 0, 0, 0, PAGE, 0)
        if operation == OPEN:
            return struct.pack("<QII", 1, DIRECT_IO, 0)
        if operation == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self.image.read(offset, size)
        if operation == WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            self.image.write(offset, bytes(body[40:40 + size]))
            return struct.pack("<II", size, 0)
        if operation == STATFS:
            return bytes(80)
        if operation == FSYNC:
            self.image.flush()
            return b""
        return b"" if operation in (RELEASE, FLUSH, DESTROY) else None


def main():
    mountpoint, size = sys.argv[1], int(sys.argv[2])
    image = Image(size)
    server = Server(image, mountpoint)
    threading.Thread(target=server.run, daemon=True).start()
    print("done", flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "quit":
            break
        if command == "revive":
            image.revive(int(arguments[0]))
        else:
            getattr(image, command)(*arguments)
        print("done", flush=True)


class CuttableDisk:
    """The program above, seen from the test, with a file system on it."""

    def __init__(self, directory, kind, size):
        self.file = directory / "disk.img"
        self.mountpoint = directory / "mnt"
        self.kind = kind
        self.file.touch()
        self.mountpoint.mkdir()
        self.process = subprocess.Popen([sys.executable, __file__, str(self.file), str(size)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.loop = None
        self.done()

    def done(self):
        if self.process.stdout.readline() != "done\n":
            raise AssertionError("the disk's process ended")

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        self.done()

    def mount(self):
        self.loop = subprocess.check_output(["losetup", "--show", "-f", str(self.file)],
                                            text=True).strip()
        subprocess.run(["mount", "-t", self.kind, self.loop, str(self.mountpoint)], check=True)

    def unmount(self):
        if self.loop:
            subprocess.run(["umount", str(self.mountpoint)], check=True, capture_output=True)
            subprocess.run(["losetup", "-d", self.loop], check=True)
            # Another mount namespace may keep the file system for a moment longer; what it writes
            # then must not reach the disk that the power returned to.
            backing = pathlib.Path("/sys/block") / pathlib.Path(self.loop).name / "loop/backing_file"
            for _ in range(1000):
                if not backing.exists():
                    break
                time.sleep(0.01)
            else:
                raise AssertionError("the file system is still in use")
            self.loop = None

    def close(self):
        if self.loop:
            subprocess.run(["umount", "-l", str(self.mountpoint)], check=False)
            subprocess.run(["losetup", "-d", self.loop], check=False)
        subprocess.run(["umount", "-l", str(self.file)], check=False)
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    main()
