"""Conversation files, written by /save and read by /load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litertlm.errors import UsageError
from litertlm.services.chat import Chat, Message, Value, read_attachment
from litertlm.store.files import atomic_write_bytes, read_regular

_MAX_BYTES = 64_000_000


def write_conversation(path: Path, model: str, options: Mapping[str, Value], chat: Chat) -> None:
    """Write a conversation as JSON; attachments as paths. A file that is there stays complete.

    Raises:
        UsageError: the file cannot be written.
    """
    data = {
        "model": model,
        "system": chat.system,
        "options": dict(options),
        "messages": [_plain(message) for message in chat.messages],
    }
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    try:
        if path.parent.is_dir() and (path.is_file() or not path.exists()):
            atomic_write_bytes(path.resolve(), text.encode())
        else:
            path.write_text(text, encoding="utf-8")  # a device, a pipe, or the error
    except OSError as error:
        raise UsageError(f"Cannot write {path}.", why=error.strerror or "") from error


def read_conversation(path: Path) -> tuple[str | None, list[Message]]:
    """The system message and the messages of a file, with their attachments.

    Raises:
        UsageError: the file or an attachment cannot be read or is invalid.
    """
    try:
        data = json.loads(read_regular(path, _MAX_BYTES).decode())
    except OSError as error:
        raise UsageError(f"Cannot read {path}.", why=error.strerror or "") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not a saved conversation.", why=str(error)) from error
    messages = data.get("messages") if isinstance(data, dict) else None
    system = data.get("system") if isinstance(data, dict) else None
    fits = isinstance(messages, list) and all(map(_is_message, messages))
    if not fits or not (system is None or _is_text(system)):
        raise UsageError(
            f"{path} is not a saved conversation.",
            why='Expected JSON with "system" (string or null) and "messages" (role and content).',
        )
    assert isinstance(messages, list)
    return system, [_with_attachments(message) for message in messages]


def _plain(message: Message) -> Message:
    if "attachments" not in message:
        return message
    # Absolute: a conversation may be loaded from another folder.
    return {
        **message,
        "attachments": [str(file.path.absolute()) for file in message["attachments"]],
    }


def _with_attachments(message: Message) -> Message:
    if "attachments" not in message:
        return message
    return {
        **message,
        "attachments": tuple(read_attachment(Path(name)) for name in message["attachments"]),
    }


def _is_message(value: Any) -> bool:
    if not isinstance(value, dict) or not _is_text(value.get("content")):
        return False
    names = value.get("attachments", [])
    return (
        value.get("role") in ("user", "assistant", "tool")
        and isinstance(names, list)
        and all(map(_is_text, names))
        and (not names or value["role"] == "user")
    )


def _is_text(value: object) -> bool:
    """Whether a JSON value is a string that can be encoded; a lone surrogate cannot."""
    return isinstance(value, str) and value == value.encode("utf-8", "replace").decode()
