"""What an error says where only its text is seen: in tracebacks, logs and other errors."""

from __future__ import annotations

from litertlm.errors import DamagedCheckpoint, LiteRtLmError


def test_the_text_of_an_error_has_the_reason() -> None:
    error = DamagedCheckpoint("model.safetensors is damaged.", why="It ends early.", hint="Redo.")
    assert str(error) == "model.safetensors is damaged.\nIt ends early."
    assert repr(error) == "DamagedCheckpoint('model.safetensors is damaged.')"


def test_without_a_reason_the_text_is_what_happened() -> None:
    assert str(LiteRtLmError("No disk.")) == "No disk."


def test_a_reason_that_is_added_later_is_in_the_text() -> None:
    error = LiteRtLmError("No disk.")
    error.why = "It was removed."
    assert str(error) == "No disk.\nIt was removed."
