"""Whether the programs that a measurement starts are there."""
import os, sys


def require(build, *programs):
    """Ends the script in words if one of them is missing from the build directory."""
    missing = [name for name in programs if not os.access(os.path.join(build, name), os.X_OK)]
    if missing:
        sys.exit(f"{build} has no {', '.join(missing)}; run: scripts/build release benchmarks, and scripts/build release "
                 "(or name another directory with --build)")
