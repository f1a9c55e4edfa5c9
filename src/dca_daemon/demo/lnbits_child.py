"""Runs LNbits and ends it as soon as its owner is gone, even when the owner was killed.

Executed by the Python of LNbits' own virtual environment, so it uses the standard library only (3.10+):
`lnbits_child.py OWNER_PID [arguments of uvicorn…]`.
"""

from __future__ import annotations

import os
import runpy
import select
import sys
import threading
import time


def _wait_for_end(pid: int) -> None:
    """Returns when that process has ended; its number can't be reused unnoticed where pidfds exist."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):
        _poll_for_end(pid)
        return
    select.select([descriptor], [], [])


def _poll_for_end(pid: int) -> None:
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        except PermissionError:
            pass  # alive, and somebody else's
        time.sleep(0.5)


def _end_with(owner_pid: int) -> None:
    _wait_for_end(owner_pid)
    os._exit(0)


def main() -> None:
    """Starts the watch in a thread, then becomes `python -m uvicorn …`."""
    owner_pid = int(sys.argv[1])
    threading.Thread(target=_end_with, args=(owner_pid,), daemon=True).start()
    sys.argv = ["uvicorn", *sys.argv[2:]]
    del sys.path[0]  # the folder of this file: its modules are none of LNbits' business
    runpy.run_module("uvicorn", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
