"""Sizes in words: bytes, and numbers of parameters as model names give them."""

from __future__ import annotations

import re


def format_bytes(count: float) -> str:
    """`141.9 MB`: decimal units, as disks, downloads and the Hub use them."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"


def format_parameters(count: int) -> str:
    """A number of parameters as in model names: `135m`, `1.7b`."""
    if count >= 999_500_000:
        return f"{count / 1e9:.1f}".removesuffix(".0") + "b"
    return f"{max(1, round(count / 1e6))}m"


def parameters_in_name(name: str) -> str | None:
    """The number of parameters in a model's name: `270m` of `gemma-3-270m-it`."""
    match = re.search(r"(?:^|[-_ ])(\d+(?:\.\d+)?[mb])(?:$|[-_ .])", name.lower())
    return match[1] if match else None
