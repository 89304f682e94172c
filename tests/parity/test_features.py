"""The goldens would notice if a config key were overlooked.

Each case changes one key of a tiny model's config.json (its `depends_on`); the converted model
must then compute something else than transformers did with the original. A case that fails means
that the tiny model does not exercise that feature.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.bundle import Decoder, convert_folder
from parity.golden import DECODED, PROMPT_LENGTHS, load_golden
from parity.test_logits import FLOAT_TOLERANCE
from tiny import MODELS, change_config, write_checkpoint

CHANGES: list[tuple[str, str, Any]] = [
    (model.name, key, value) for model in MODELS.values() for key, value in model.depends_on.items()
]


@pytest.mark.parametrize(("name", "key", "value"), CHANGES)
def test_golden_depends_on(name: str, key: str, value: object, tmp_path: Path) -> None:
    golden = load_golden(name)
    source = write_checkpoint(MODELS[name], tmp_path / "checkpoint", chat_template=None)
    change_config(source, {key: value})
    prompt = PROMPT_LENGTHS[-1]
    logits = Decoder(convert_folder(source)).logits(golden.tokens[: prompt + DECODED], prompt)
    want = np.stack([golden.after(prompt - 1 + i) for i in range(DECODED + 1)])
    assert np.abs(logits - want).max() > 2 * FLOAT_TOLERANCE * np.abs(golden.logits).max()
