"""The unfinished file of a download."""

from __future__ import annotations

from pathlib import Path

import pytest

from litertlm.hub import part as part_module
from litertlm.hub.part import BLOCKS_SUFFIX, Part, block_size, received_bytes

SIZE = 1050
DATA = bytes(i % 251 for i in range(SIZE))


def write(part: Part, offset: int, data: bytes) -> None:
    with part.writer() as writer:
        writer.write(offset, data)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_module, "BLOCK_BYTES", 100)


def test_blocks_in_any_order_survive_a_new_process(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    part = Part(path, SIZE)
    assert part.incomplete() == list(range(11))
    for start, end in ((300, 400), (0, 60), (1000, 1050), (500, 530)):
        write(part, start, DATA[start:end])
    again = Part(path, SIZE)
    assert again.received == received_bytes(path, SIZE) == 240
    assert again.frontier == 60
    assert again.missing(0) == (60, 100)
    assert again.missing(5) == (530, 600)
    assert 3 not in again.incomplete()
    assert 10 not in again.incomplete()
    for index in again.incomplete():
        start, end = again.missing(index)
        write(again, start, DATA[start:end])
    assert again.frontier == SIZE
    assert path.read_bytes() == DATA
    again.close()
    assert list(tmp_path.iterdir()) == [path]


def test_one_write_over_several_blocks(tmp_path: Path) -> None:
    part = Part(tmp_path / "x.part", SIZE)
    write(part, 300, DATA[300:390])
    write(part, 0, DATA[:350])
    assert part.frontier == 390
    assert part.incomplete() == list(range(3, 11))


def test_a_small_file_has_no_record(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    part = Part(path, 90)
    write(part, 0, DATA[:40])
    assert list(tmp_path.iterdir()) == [path]
    assert Part(path, 90).missing(0) == (40, 90)
    path.write_bytes(bytes(91))
    assert Part(path, 90).received == 0


@pytest.mark.parametrize(
    "record", [b"", b"x" * 88, bytes(80), bytes(87) + b"\1", b"\x64" + bytes(7)]
)
def test_a_damaged_record_begins_again(record: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    part = Part(path, SIZE)
    write(part, 0, DATA[:50])
    path.with_name(path.name + BLOCKS_SUFFIX).write_bytes(record)
    assert received_bytes(path, SIZE) == 0
    again = Part(path, SIZE)
    assert again.received == 0
    assert path.stat().st_size == 0
    write(again, 0, DATA)
    assert Part(path, SIZE).frontier == SIZE


def test_links_are_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    path = tmp_path / "x.part"
    path.symlink_to(victim)
    path.with_name(path.name + BLOCKS_SUFFIX).symlink_to(victim)
    assert received_bytes(path, SIZE) == 0
    write(Part(path, SIZE), 0, DATA)
    assert victim.read_bytes() == b"mine"


def test_the_number_of_blocks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_module, "BLOCK_BYTES", 16 << 20)
    assert block_size(1 << 30) == 16 << 20
    assert -(-(40 << 30) // block_size(40 << 30)) <= 256
