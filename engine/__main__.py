"""`python -m engine`: speak the protocol on stdin and stdout until stdin ends."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import sys

from .lifeline import watch_parent
from .service import Service
from .streams import take_streams


def main() -> None:
    """Run the engine; ends the process and never returns."""
    parser = argparse.ArgumentParser(prog="engine", description=__doc__)
    parser.add_argument("--parent-pid", type=int, default=0, help="end when this process ends")
    parser.add_argument("--threads", type=int, default=0, help="of native code; 0 chooses")
    arguments = parser.parse_args()
    requests, replies = take_streams()
    faulthandler.enable()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    limit_threads(arguments.threads or min(4, usable_cores()))
    if arguments.parent_pid:
        watch_parent(arguments.parent_pid)
    Service(requests, replies).run()
    logging.shutdown()
    # Native libraries may keep threads that hang a normal exit.
    os._exit(0)


def usable_cores() -> int:
    """Cores that this process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads(count: int) -> None:
    """Give native libraries this many threads; before they are imported.

    Blender needs the other cores, and more threads do not make 512 px crops faster.
    """
    for name in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ[name] = str(count)
    # Systems of a few hundred unknowns take several times as long where two threads share them.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


if __name__ == "__main__":
    main()
