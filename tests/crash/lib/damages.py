"""Ways to damage a store, and stores to damage."""

import hashlib

from ledger import payload_of
from traffic import create
from weir_client import Client


def flip_bit(rng, path, data):
    at = rng.randrange(len(data))
    path.write_bytes(data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:])
    return f"bit of byte {at} flipped", at


def cut(rng, path, data):
    at = rng.randrange(len(data))
    path.write_bytes(data[:at])
    return f"cut at {at}", at


def cut_then_zeros(rng, path, data):
    at = rng.randrange(len(data))
    path.write_bytes(data[:at] + bytes(len(data) - at + rng.randrange(5000)))
    return f"zero from {at}", at


def zero_sector(rng, path, data):
    at = rng.randrange(len(data)) // 512 * 512
    path.write_bytes(data[:at] + bytes(min(512, len(data) - at)) + data[at + 512:])
    return f"sector at {at} zeroed", at


def append_garbage(rng, path, data):
    path.write_bytes(data + rng.randbytes(rng.randrange(1, 3000)))
    return "garbage appended", len(data)


def insert_bytes(rng, path, data):
    at = rng.randrange(len(data))
    path.write_bytes(data[:at] + rng.randbytes(rng.randrange(1, 50)) + data[at:])
    return f"bytes inserted at {at}", at


def empty(rng, path, data):
    path.write_bytes(b"")
    return "emptied", 0


def remove(rng, path, data):
    path.unlink()
    return "removed", 0


def directory_instead(rng, path, data):
    path.unlink()
    path.mkdir()
    return "replaced by a directory", 0


def link_instead(rng, path, data):
    path.unlink()
    path.symlink_to("/etc/passwd")
    return "replaced by a symbolic link", 0


def other_segment(rng, path, data):
    others = [p for p in sorted(path.parents[1].glob("*/*.seg")) if p != path]
    path.write_bytes(rng.choice(others).read_bytes() if others else b"")
    return "replaced by another segment", 0


KINDS = [flip_bit, flip_bit, flip_bit, cut, cut_then_zeros, zero_sector, append_garbage,
         insert_bytes, empty, remove, directory_instead, link_instead, other_segment]


def digest(store):
    found = {}
    for path in sorted(store.rglob("*")):
        if path.is_file() and not path.is_symlink():
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def make_store(weir, rng):
    weir.start()
    with Client(weir.port) as client:
        streams = [create(client, "one", streamSegmentSize=16384),
                   create(client, "two", flushOnWrite=True, streamSegmentSize=16384),
                   create(client, "three", streamSegmentSize=16384)]
        if rng.random() < 0.5:
            client.update("one", 0, streamSegmentSize=16384)
        for stream in streams:
            connection = stream.connect("before")
            for _ in range(rng.randrange(100, 250)):
                identity = connection.next_identity()
                connection.acknowledge(identity, client.append(stream.name,
                                                                  payload_of(identity)))
    clean = rng.random() < 0.5
    if clean:
        weir.stop()
    else:
        weir.kill()
    return streams, clean


def stream_of(path, store, streams):
    """Whose file this is: its definition names it."""
    directory = path
    while directory.parent != store / "streams":
        if directory == store:
            return None
        directory = directory.parent
    text = "".join(p.read_text(errors="replace") for p in directory.glob("definition.*")
                   if p.is_file() and not p.is_symlink())
    return next((s for s in streams if f'"{s.name}"' in text), None)


def messages_in(path, stream):
    """How many messages a segment holds, by its name and that of the next."""
    segments = sorted(path.parent.glob("*.seg"))
    bases = [int(p.stem) for p in segments] + [stream.highest_told() + 1]
    place = [p.name for p in segments].index(path.name)
    return bases[place + 1] - bases[place]
