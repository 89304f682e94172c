"""Stops the program under test at a chosen moment, in a process that has this folder on its path.

Python imports this module when it starts. PYTHON_STOP_AT chooses the moment; tests/stopping.py sets
it. Workers get variables whose names begin with PYTHON.
"""

import fnmatch
import json
import os
import sys
import threading
import time

_EVENTS = {"os.rename": "rename", "os.remove": "remove", "open": "open", "import": "import"}


class _Stop:
    """Waits at one moment for as long as the marker exists."""

    def __init__(self, event, name, skip, process, marker):
        self._event, self._name, self._marker = event, name, marker
        self._left = skip + 1 if not process or process in sys.orig_argv else 0
        self._lock = threading.Lock()

    def reach(self, event, name):
        """Count a moment of the program; wait if it is the chosen one."""
        if not self._left or event != self._event or not fnmatch.fnmatch(name, self._name):
            return
        with self._lock:
            self._left -= 1
            if self._left:
                return
        os.close(os.open(self._marker, os.O_CREAT | os.O_WRONLY))
        while os.path.exists(self._marker):
            time.sleep(0.01)  # a signal that raises an exception ends the wait, too

    def audit(self, event, arguments):
        """An audit hook (https://docs.python.org/3/library/audit_events.html)."""
        kind = _EVENTS.get(event)
        if kind is None or kind != self._event:
            return
        if kind == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return  # for reading
        name = arguments[1] if kind == "rename" else arguments[0]
        if isinstance(name, (str, bytes, os.PathLike)):
            self.reach(kind, os.path.basename(os.fsdecode(name)))


def _install(stop):
    write = os.pwrite

    def pwrite(fd, data, offset):
        done = write(fd, data, offset)
        stop.reach("pwrite", os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        return done

    os.pwrite = pwrite
    sys.addaudithook(stop.audit)


if "PYTHON_STOP_AT" in os.environ:
    _install(_Stop(**json.loads(os.environ["PYTHON_STOP_AT"])))
