"""A weir that believes it is another time, by Debian's libfaketime."""

import glob
import os

LIBRARY = sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))


def environment(offset):
    """What to add to the environment of a process; `offset` as in "-3h". Not by the program `faketime`: it would
    stand between weir and the signals of the test."""
    # AddressSanitizer looks at the clock inside its malloc, and libfaketime's first look allocates.
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":allocator_release_to_os_interval_ms=-1"
    return {"LD_PRELOAD": LIBRARY[0], "FAKETIME": offset, "DONT_FAKE_MONOTONIC": "1", "ASAN_OPTIONS": sanitizer}
