"""Reading JSON bodies of requests: bounded, and with errors that name the field."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request

from litertlm.server.errors import ApiError

MAX_BODY_BYTES = 48 << 20  # an image of 32 MB in base64, and the text
MAX_DEPTH = 64
READ_TIMEOUT_S = 30.0  # between two parts of a body
MAX_IMAGE_BYTES = 32_000_000

_NAMES = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
}


class Body:
    """The JSON object of a request, or a part of it.

    Args:
        values: the object.
        path: of the object in the request, for errors.
    """

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self.values = values
        self._path = path

    def get(self, name: str, kind: type, default: Any = None) -> Any:
        """The value of a field, or `default` where it is missing or null.

        Raises:
            ApiError: it is of another type.
        """
        value = self.values.get(name)
        if value is None:
            return default
        if kind is float and type(value) is int:
            return float(value)
        if kind is int and type(value) is float and value.is_integer():
            return int(value)  # JSON has one kind of numbers
        if type(value) is not kind:
            raise self.error(name, f"must be {_NAMES[kind]}")
        return value

    def need(self, name: str, kind: type) -> Any:
        """The value of a required field.

        Raises:
            ApiError: it is missing or of another type.
        """
        value = self.get(name, kind)
        if value is None:
            raise self.error(name, "is required")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number from `low` to `high`, or None where it is missing.

        Raises:
            ApiError: it is something else.
        """
        value: float | None = self.get(name, float)
        if value is not None and not low <= value <= high:
            raise self.error(name, f"must be from {low:g} to {high:g}")
        return value

    def integer(self, name: str, low: int, high: int = 0x7FFFFFFF) -> int | None:
        """An integer from `low` to `high`, or None where it is missing.

        Raises:
            ApiError: it is something else.
        """
        value: int | None = self.get(name, int)
        if value is not None and not low <= value <= high:
            raise self.error(name, f"must be from {low} to {high}")
        return value

    def objects(self, name: str) -> list[Body]:
        """The objects in an array; none where it is missing.

        Raises:
            ApiError: it is something else.
        """
        parts = []
        for number, value in enumerate(self.get(name, list, ())):
            path = f"{self._path}{name}[{number}]"
            if not isinstance(value, dict):
                raise ApiError(400, f"{path} must be an object.", param=path)
            parts.append(Body(value, f"{path}."))
        return parts

    def inner(self, name: str) -> Body | None:
        """The object of a field, or None where it is missing.

        Raises:
            ApiError: it is something else.
        """
        value = self.get(name, dict)
        return None if value is None else Body(value, f"{self._path}{name}.")

    def texts(self, name: str) -> tuple[str, ...]:
        """A string or an array of strings, without empty ones.

        Raises:
            ApiError: it is something else.
        """
        value = self.values.get(name)
        items = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise self.error(name, "must be a string or an array of strings")
        return tuple(filter(None, items))

    def refuse(self, *names: str) -> None:
        """Refuse fields that are not supported and would change the answer.

        Raises:
            ApiError: one is set.
        """
        for name in names:
            if self.values.get(name) not in (None, False, 0, "", [], {}):
                raise self.error(name, "is not supported")

    def error(self, name: str, what: str) -> ApiError:
        """The error for a field."""
        return ApiError(400, f"{self._path}{name} {what}.", param=f"{self._path}{name}")


async def read_body(request: Request) -> Body:
    """The JSON object in the body of a request.

    Raises:
        ApiError: it is too large, too slow, too deep or not a JSON object in UTF-8.
    """
    data = await _read(request)
    try:
        values = json.loads(data.decode(), parse_constant=_refuse_constant)
        json.dumps(values, ensure_ascii=False).encode()  # half of a surrogate pair
    except RecursionError:
        raise ApiError(400, "The JSON is nested too deeply.") from None
    except (ValueError, UnicodeError) as error:
        raise ApiError(400, f"The body is not valid JSON: {error}.") from error
    if not isinstance(values, dict):
        raise ApiError(400, "The body must be a JSON object.")
    _check_depth(values)
    return Body(values)


def image_data(data: str, where: Body, name: str) -> str:
    """Checked base64 of an image.

    Raises:
        ApiError: it is not base64 or too large.
    """
    if len(data) * 3 // 4 > MAX_IMAGE_BYTES:
        raise where.error(name, f"must have at most {MAX_IMAGE_BYTES:,} bytes")
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise where.error(name, "must be base64") from None
    return data


async def _read(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    stream = aiter(request.stream())
    while True:
        try:
            part = await asyncio.wait_for(anext(stream), READ_TIMEOUT_S)
        except StopAsyncIteration:
            return b"".join(parts)
        except asyncio.TimeoutError:
            raise ApiError(408, "The body of the request did not arrive.", "timeout") from None
        except ClientDisconnect:
            raise ApiError(400, "The request was cut off.") from None
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large()


def _too_large() -> ApiError:
    return ApiError(413, f"The body has more than {MAX_BODY_BYTES:,} bytes.", "too_large")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _check_depth(values: object) -> None:
    level: list[object] = [values]
    for _ in range(MAX_DEPTH):
        deeper: list[object] = []
        for value in level:
            if isinstance(value, dict):
                deeper.extend(value.values())
            elif isinstance(value, list):
                deeper.extend(value)
        if not deeper:
            return
        level = deeper
    raise ApiError(400, "The JSON is nested too deeply.")
