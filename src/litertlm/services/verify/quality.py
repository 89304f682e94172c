"""How far a bundle's logits are from those of its checkpoint in float32."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litertlm.bundle_format.constants import TFLITE_MODEL
from litertlm.bundle_format.header import Header
from litertlm.checkpoint import Checkpoint
from litertlm.families import Family, Signature, identify
from litertlm.graph.evaluate import evaluate
from litertlm.graph.state import zero_states
from litertlm.progress import Progress
from litertlm.runtime.interpreter import MASKED, decode_logits
from litertlm.services.verify.report import Check, judged

TOKENS = 240
# Largest mean KL divergence, in nats, that each recipe may have: about twice what the demo model
# has (docs/fidelity.md); small models, such as that one, suffer most.
LIMITS = {"none": 1e-6, "fp16": 2e-5, "int8": 0.008, "dynamic_int8": 0.02, "dynamic_int4": 0.5}
_LIMIT = 0.1


@dataclass(frozen=True)
class Distance:
    """Two series of logits compared, token by token of a text.

    Attributes:
        kl: mean Kullback-Leibler divergence of the bundle from the reference, in nats.
        mean_abs: mean absolute difference of the log-probability of the token that follows.
        top1: how often both think the same token the most probable, 0 to 1.
        tokens: positions that were compared.
    """

    kl: float
    mean_abs: float
    top1: float
    tokens: int


def check_quality(
    bundle: Path,
    header: Header,
    checkpoint: Checkpoint,
    ids: Sequence[int],
    *,
    threads: int,
    progress: Progress,
    family: Family | None = None,
) -> Check:
    """Compare the bundle's logits on `ids` with the checkpoint's.

    Args:
        ids: token ids of a text, BOS included.
        family: of the checkpoint, where it is known.

    Raises:
        UsageError: the LiteRT interpreter is not installed.
    """
    progress.status(f"Computing {len(ids)} tokens in float32 from the checkpoint...")
    wanted = reference_logits(checkpoint, ids, family=family)
    progress.status("Computing them with the bundle...")
    with tempfile.TemporaryDirectory(dir=bundle.parent) as folder:
        model = Path(folder) / "model.tflite"
        _extract(bundle, header, model)
        found = distance(wanted, decode_logits(model, ids, threads=threads), ids)
    recipe = str(header.system.get("recipe", ""))
    limit = LIMITS.get(recipe, _LIMIT)
    problems = []
    if not found.kl <= limit:  # also when it is not a number
        problems.append(f"The KL divergence is {found.kl:.3g}, above {limit:g} for {recipe}.")
    return judged(
        "quality",
        problems,
        f"KL divergence {found.kl:.3g} (limit {limit:g}), mean difference {found.mean_abs:.3g}, "
        f"top-1 agreement {found.top1:.1%}, on {found.tokens} tokens",
        {
            "kl_divergence": found.kl,
            "kl_limit": limit,
            "mean_absolute_difference": found.mean_abs,
            "top1_agreement": found.top1,
            "tokens": found.tokens,
        },
    )


def reference_logits(
    checkpoint: Checkpoint, ids: Sequence[int], *, family: Family | None = None
) -> NDArray[np.float32]:
    """The checkpoint's logits after each of `ids` in float32, `[len(ids), vocab]`."""
    count = len(ids)
    family = family or identify(checkpoint.config)
    signature = Signature("score", count, count, logits=True)
    (graph,) = family.build(checkpoint, [signature]).graphs
    causal = np.where(np.tri(count, dtype=bool), np.float32(0), MASKED)
    inputs = {
        "tokens": np.array([ids], np.int32),
        "input_pos": np.arange(count, dtype=np.int32),
        "mask": causal[None, None],
        **zero_states(graph),
    }
    logits: NDArray[np.float32] = evaluate(graph, inputs)["logits"][0]
    return logits


def distance(
    reference: Iterable[NDArray[np.float32]],
    found: Iterable[NDArray[np.float32]],
    ids: Sequence[int],
) -> Distance:
    """Compare logits after each of `ids`; the last ones predict nothing and are left out."""
    divergences, differences, agreements = [], [], []
    for wanted, got, following in zip(reference, found, ids[1:], strict=False):
        p, q = _log_softmax(wanted), _log_softmax(got)
        divergences.append(float((np.exp(p) * (p - q)).sum()))
        differences.append(abs(float(p[following] - q[following])))
        agreements.append(int(p.argmax()) == int(q.argmax()))
    return Distance(
        kl=float(np.mean(divergences)),
        mean_abs=float(np.mean(differences)),
        top1=float(np.mean(agreements)),
        tokens=len(divergences),
    )


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max()
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return result


def _extract(bundle: Path, header: Header, target: Path) -> None:
    section = header.first(TFLITE_MODEL)
    assert section is not None, "the structure was checked"
    with bundle.open("rb") as source, target.open("wb") as file:
        source.seek(section.begin)
        shutil.copyfileobj(source, file, 1 << 24)
        file.truncate(section.nbytes)
