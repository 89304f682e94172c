"""Which tokenizer file goes into the bundle."""

from __future__ import annotations

import pytest

from litertlm.bundle.tokenizer import choose_tokenizer
from litertlm.checkpoint import Tokenizer
from litertlm.errors import UnsupportedModel


def test_a_checkpoint_without_tokenizer_is_refused() -> None:
    nothing = Tokenizer(None, None, {}, None, adds_bos=False, bos_token_id=None, eos_token_id=None)
    with pytest.raises(UnsupportedModel, match=r"no tokenizer\.json"):
        choose_tokenizer(nothing)
