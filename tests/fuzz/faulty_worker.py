"""A worker that does what it is asked to: shows that pool.py sees hangs, crashes and exits."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time

from fuzz.actions import Outcome


def main() -> None:
    """Answer `["fine"]`; obey every other request."""
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        (request,) = json.loads(line)
        if request == "spin":
            while True:
                pass
        elif request == "sleep":
            time.sleep(1000)
        elif request == "abort":
            os.abort()
        elif request == "exit":
            os._exit(3)
        print(json.dumps(dataclasses.asdict(Outcome("accepted"))), flush=True)


if __name__ == "__main__":
    main()
