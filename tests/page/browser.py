"""The Chromium that the tests of the page use: found on this machine, or installed as root.

python tests/page/browser.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

VARIABLE = "CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
MISSING = f"""No Chromium or Chrome found, which the tests of the page need.
Install one (Debian and Ubuntu: apt-get install chromium; Fedora: dnf install chromium;
macOS: brew install --cask chromium), or set {VARIABLE} to the path of its program."""


def find() -> str | None:
    """The path of the program, or None."""
    return os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, (*NAMES, *MAC))), None)


def main() -> int:
    """Install a browser if there is none and if that is possible without asking anyone."""
    if find() is None and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
        more = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run([*apt, *arguments], env=more, check=True, stdout=subprocess.DEVNULL)
    if find() is None:
        print(MISSING, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
