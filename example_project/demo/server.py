"""One server of the demo: ``python -m example_project.demo.server MODULE:APPLICATION PORT``.

It stops when its standard input ends, so that it never outlives the command that started it.
"""

import os
import signal
import sys
import threading

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from example_project.demo.ports import LOOPBACK


def main(target: str, port: int, *, log_requests: bool) -> None:
    threading.Thread(target=stop_with_parent, daemon=True).start()
    server = Granian(
        target,
        address=LOOPBACK,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=1,
        websockets=False,
        log_level=LogLevels.info if log_requests else LogLevels.warning,
        log_access=log_requests,
        workers_kill_timeout=3,
    )
    server.serve()


def stop_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), log_requests="--log-requests" in sys.argv)
