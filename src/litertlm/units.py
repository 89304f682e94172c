"""Sizes in words: bytes, ages, and numbers of parameters as model names give them."""

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


_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}


def parse_bytes(text: str) -> int | None:
    """The bytes of `20GB`, `500 MB`, `1.5G` or `4GiB`; None if it is no size."""
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?) *([kmgt]?)(i?)b?", text.strip().lower())
    if not match or (match[3] and not match[2]):
        return None
    return int(float(match[1]) * (_BINARY if match[3] else _BYTES)[match[2]])


def parse_age(text: str) -> float | None:
    """The seconds of `12h`, `30d`, `2w` or `1y`; None if it is no age."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) *([hdwy])", text.strip().lower())
    return float(match[1]) * _SECONDS[match[2]] if match else None
