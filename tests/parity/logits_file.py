"""Golden logits of several models in one `.npz`: written, or compared with new ones."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 2e-5  # of the largest logit; torch rounds differently on different processors


def write_or_check(
    description: str,
    file: Path,
    label: str,
    names: Iterable[str],
    logits_of: Callable[[str], NDArray[np.float32]],
) -> int:
    """The main function of a script that writes `file`, or compares with it (`--check`).

    Args:
        label: what each of `names` is, for the lines that are printed.

    Returns:
        Exit code: 1 if some logits differ.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    made = {name: logits_of(name) for name in names}
    if not check:
        np.savez_compressed(file, **made)
        print(f"{len(made)} written ({label})")
        return 0
    failed = False
    with np.load(file) as stored:
        for name, logits in made.items():
            error = float(np.abs(stored[name] - logits).max() / np.abs(logits).max())
            failed |= not error <= TOLERANCE
            same = "same" if error <= TOLERANCE else f"differs by {error:.1e}"
            print(f"{label} {name:31} {same}")
    return int(failed)
