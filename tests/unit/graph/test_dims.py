"""Dimensions that are known at run time are affine in one symbol."""

from __future__ import annotations

import pytest

from litertlm.graph import Dim, Graph, GraphError, Size, ops

S, C = Dim("S"), Dim("C")

SUMS: list[tuple[Size, Size]] = [
    (S + 3, Dim("S", 1, 3)),
    (3 + S, Dim("S", 1, 3)),
    (S - 1, Dim("S", 1, -1)),
    (5 - S, Dim("S", -1, 5)),
    (S + S, Dim("S", 2)),
    (2 * S + 1 - S, Dim("S", 1, 1)),
    ((S + 3) * 2, Dim("S", 2, 6)),
    (S + 3 - S, 3),
    (S - S, 0),
    (S * 0, 0),
    (S + 3 - (S + 1), 2),
]


@pytest.mark.parametrize(("have", "want"), SUMS, ids=map(str, range(len(SUMS))))
def test_arithmetic(have: Size, want: Size) -> None:
    assert have == want
    assert type(have) is type(want)


def test_text() -> None:
    assert [str(d) for d in (S, 2 * S, S + 3, 2 * S - 1, 5 - S)] == [
        "S", "2S", "S+3", "2S-1", "-S+5",
    ]  # fmt: skip


def test_values() -> None:
    assert (Dim("S", 2, 3)).at({"S": 5, "C": 1}) == 13
    assert (Dim("S", 2, 3)).smallest == 5
    assert (Dim("S", -1, 3)).smallest < -(10**9)


def test_two_symbols_do_not_add_up() -> None:
    with pytest.raises(GraphError, match=r"S \+ C depends on two symbols"):
        S + C
    with pytest.raises(GraphError, match="two symbols"):
        S - C


def test_a_state_before_the_tokens() -> None:
    graph = Graph("prefill")
    state, tokens = graph.input("state", (1, 3, 8)), graph.input("x", (1, S, 8))
    both = ops.concat([state, tokens], 1)
    assert both.shape == (1, S + 3, 8)
    assert ops.last(both, 1, 3).shape == (1, 3, 8)
    assert ops.concat([both, tokens], 1).shape == (1, 2 * S + 3, 8)
    assert ops.strided_slice(both, 1, 3).shape == (1, S, 8)
    assert ops.reshape(both, (S + 3, 2, 4)).shape == (S + 3, 2, 4)
    with pytest.raises(GraphError):
        ops.last(both, 1, 5)  # of one token there are four rows
