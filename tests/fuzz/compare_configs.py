"""Changed configurations: refused by this program, or computed as transformers computes them.

    PYTHONPATH=src:tests python -m fuzz.compare_configs --count 5000 --seed 1
    ... --case 17         one case, in full
    ... --replay          stored cases, tests/fuzz/configs/*.json

Runs where torch and transformers are installed (`make fuzz-configs`; `make parity` runs a few). Our
float logits come from the graph with the numpy evaluator. What transformers refuses, or computes to
no finite numbers, must be refused; stop tokens must be those of the configuration.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from fuzz.configs import GENERATION, ConfigCase, leaf, make_config_case, restated
from fuzz.traces import place_of
from litertlm.checkpoint import open_checkpoint
from litertlm.errors import LiteRtLmError
from litertlm.families import identify
from litertlm.services.convert import ConvertOptions, plan_conversion
from litertlm.services.verify.quality import reference_logits
from tiny import MODELS, write_checkpoint, write_safetensors
from tiny.checkpoint import tensor_values
from tiny.tokenizer import IM_END, SPECIAL

FOLDER = Path(__file__).parent / "configs"
TOKENS = 24  # more than the sliding windows
# Of the largest logit. Beyond it, float64 decides: a badly conditioned model differs from itself.
TOLERANCE = 1e-4
HEAD = "lm_head.weight"


@dataclass(frozen=True)
class Verdict:
    """How a case ended.

    Attributes:
        result: `equal`, `both refuse`, `only we refuse`, `transformers initializes` (tensors that
            the checkpoint lacks, with random numbers; we refuse), or a failure: `DIFFERENT`,
            `NOT REFUSED` (transformers refuses, initializes tensors, or its logits are not
            finite), `STOP TOKENS`, `INTERNAL ERROR`.
        ours: our error, or empty.
        theirs: transformers' error, or empty.
        error: largest difference, of the largest logit.
        named: whether our error names a changed key or a tensor.
    """

    result: str
    ours: str = ""
    theirs: str = ""
    error: float = 0.0
    named: bool = True

    @property
    def failed(self) -> bool:
        """Whether this must not happen."""
        return self.result.isupper()


def judge(case: ConfigCase, folder: Path) -> Verdict:
    """Write the checkpoint into `folder` and compute it twice."""
    verdict = _judge(case, case, folder)
    if verdict.result == "NOT REFUSED" and (same := restated(case, known_keys())):
        return _judge(case, same, folder)
    return verdict


def _judge(case: ConfigCase, reference: ConfigCase, folder: Path) -> Verdict:
    """Compare `case`, computed here, with `reference`, computed by transformers."""
    tied = _write(reference, folder)
    theirs = _transformers_logits(folder, reference)
    _write_configs(case, folder)
    tokens = _tokens(case)
    try:
        stops = set(plan_conversion(folder, ConvertOptions()).prompting.stop_token_ids)
        checkpoint = open_checkpoint(folder)
        context = identify(checkpoint.config).max_context
        logits = reference_logits(checkpoint, tokens[:context])
    except LiteRtLmError as error:
        text = str(error)
        named = any(leaf(key) in text for key in case.changed) or ".weight" in text
        named = named or ".bias" in text
        result = "both refuse" if isinstance(theirs, str) else "only we refuse"
        return Verdict(result, text, theirs if isinstance(theirs, str) else "", named=named)
    except Exception as error:  # noqa: BLE001 - that there is none is what is tested
        text = f"{type(error).__name__}: {error} ({place_of(error)})"
        return Verdict("INTERNAL ERROR", text, theirs if isinstance(theirs, str) else "")
    if context < len(tokens):  # longer prompts are refused, and may change the first positions
        _write_configs(reference, folder)
        theirs = _transformers_logits(folder, reference, tokens=context)
    if isinstance(theirs, str):
        return Verdict("NOT REFUSED", "", theirs)
    if not np.isfinite(theirs).all():
        return Verdict("NOT REFUSED", "", "logits are not finite")
    error = _difference(logits, theirs)
    if not error <= TOLERANCE and not _as_close_as_float32(logits, theirs, folder, reference):
        note = "lm_head.weight differs from the tied embedding" if tied else ""
        return Verdict("DIFFERENT", note, "", error)
    if problem := _stop_problem(stops, logits.shape[-1], case, folder):
        return Verdict("STOP TOKENS", problem)
    return Verdict("equal", error=error)


def _tokens(case: ConfigCase) -> list[int]:
    text = case.config.get("text_config", case.config)
    size = text.get("vocab_size") or 320
    rng = random.Random(case.base)
    return [rng.randrange(len(SPECIAL), min(size, 300)) for _ in range(TOKENS)]


def _write(case: ConfigCase, folder: Path) -> bool:
    """Write the checkpoint; returns whether it has a head that differs from a tied embedding."""
    model = MODELS[case.base]
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    write_checkpoint(model, folder)
    _write_configs(case, folder)
    if case.weights == "before":
        return False
    try:
        made = _auto(case).from_config(transformers.AutoConfig.from_pretrained(folder))
    except Exception:  # noqa: BLE001 - anything; then transformers refuses it below as well
        return False
    shapes = {name: tuple(value.shape) for name, value in made.state_dict().items()}
    embedding = next(name for name in shapes if name.endswith("embed_tokens.weight"))
    head = next((name for name in shapes if name.endswith(HEAD)), HEAD)
    tied = made.get_output_embeddings().weight is made.get_input_embeddings().weight
    if tied:
        shapes.pop(head, None)
        if case.weights == "fitting and head":
            shapes[HEAD] = shapes[embedding]
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    tensors = {name: tensor_values(model, name, shape) for name, shape in shapes.items() if shape}
    write_safetensors(folder / "model.safetensors", tensors, "F32")
    return tied and case.weights == "fitting and head"


def _write_configs(case: ConfigCase, folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(case.config))
    (folder / "generation_config.json").write_text(json.dumps(case.generation))


def _auto(case: ConfigCase) -> Any:
    if "text_config" in case.config:
        return transformers.AutoModelForImageTextToText
    return transformers.AutoModelForCausalLM


def _transformers_logits(
    folder: Path, case: ConfigCase, dtype: torch.dtype = torch.float32, *, tokens: int = TOKENS
) -> NDArray[np.floating] | str:
    """Logits `[tokens, vocab]`, or why there are none."""
    try:
        model, report = _auto(case).from_pretrained(
            folder, dtype=dtype, attn_implementation="eager", output_loading_info=True
        )
        if report["missing_keys"] or report["mismatched_keys"]:
            return f"initializes {sorted(report['missing_keys'])[:3]}"
        with torch.no_grad():
            logits = model.eval()(torch.tensor([_tokens(case)[:tokens]])).logits[0]
    except Exception as error:  # noqa: BLE001 - it raises anything
        return f"{type(error).__name__}: {error}"[:300]
    found: NDArray[np.floating] = logits.numpy()
    return found


def _difference(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float(np.abs(a - b).max() / (np.abs(b).max() or 1.0))


def _as_close_as_float32(
    ours: NDArray[np.floating], theirs: NDArray[np.floating], folder: Path, case: ConfigCase
) -> bool:
    """Whether we are about as far from float64 as transformers in float32 is."""
    _write_configs(case, folder)
    exact = _transformers_logits(folder, case, torch.float64, tokens=len(ours))
    if isinstance(exact, str):
        return False
    return _difference(ours, exact) <= 8 * _difference(theirs, exact)


def _stop_problem(stops: set[int], vocabulary: int, case: ConfigCase, folder: Path) -> str:
    """What is wrong with the stop tokens; empty where they are right."""
    written: set[int] = {IM_END}  # the tokenizer's
    for config in (case.config, case.config.get("text_config") or {}, case.generation):
        value = config.get("eos_token_id")
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            if type(one) is not int:
                return f"eos_token_id {value!r} is accepted as {sorted(stops)}"
            written.add(one)
    if stops - written:
        return f"stops at {sorted(stops)}, the configs say {sorted(written)}"
    if outside := [one for one in stops if not 0 <= one < vocabulary]:
        return f"stops at {outside}, beyond the vocabulary"
    wanted = transformers.GenerationConfig.from_pretrained(folder).eos_token_id
    wanted = set(wanted if isinstance(wanted, list) else [] if wanted is None else [wanted])
    return "" if wanted <= stops else f"stops at {sorted(stops)}, transformers at {sorted(wanted)}"


@lru_cache
def known_keys() -> Mapping[str, Mapping[str, Any]]:
    """`model_type` to the keys and defaults of transformers' config class."""
    kinds = {model.text_config["model_type"] for model in MODELS.values()}
    return {kind: transformers.AutoConfig.for_model(kind).to_dict() for kind in sorted(kinds)}


def save(case: ConfigCase, verdict: Verdict, folder: Path, known: str | None) -> Path:
    """Store a case."""
    content = {"known": known, "note": verdict.ours or verdict.theirs, **asdict(case)}
    digest = hashlib.sha256(json.dumps(asdict(case), sort_keys=True).encode()).hexdigest()[:10]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.base}-{digest}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def load(path: Path) -> tuple[ConfigCase, str | None]:
    """A stored case, and the name of its failure while that is not fixed."""
    content = json.loads(path.read_text())
    known = content.pop("known")
    content.pop("note")
    return ConfigCase(**{**content, "changed": tuple(content["changed"])}), known


def run_case(case: ConfigCase) -> Verdict:
    """Judge a case in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("FUZZ_TMP")) as folder:
        return judge(case, Path(folder))


def campaign(seed: int, count: int, store: Path | None) -> tuple[Counter[str], dict[str, Any]]:
    """Counts by result, and the failures: (result, changed keys) to numbers of cases."""
    results: Counter[str] = Counter()
    failures: dict[str, list[int]] = defaultdict(list)
    stored = known_failures()
    for number in range(count):
        case = make_config_case(seed, number, known_keys())
        verdict = run_case(case)
        results[verdict.result + ("" if verdict.named else ", key not named")] += 1
        if not verdict.failed:
            continue
        name = f"{verdict.result}: {_cause(case, verdict)}"
        if name not in failures:
            text = f"{verdict.error:.1e} {verdict.ours} {verdict.theirs}"
            print(f"{name}: case {number}, {' '.join(text.split())}"[:300], flush=True)
            if store and name not in stored:
                save(case, verdict, store, name)
        failures[name].append(number)
    return results, dict(failures)


def _cause(case: ConfigCase, verdict: Verdict) -> str:
    """The changes without each of which the failure is gone."""
    fitting = replace(case, weights="fitting")
    if case.weights == "fitting and head" and run_case(fitting).result != verdict.result:
        return "a head beside the tied embedding"
    needed = [key for key in case.changed if run_case(_without(case, key)).result != verdict.result]
    return " and ".join(sorted(map(leaf, needed))) or "any of the changes"


def _without(case: ConfigCase, key: str) -> ConfigCase:
    """The case with the value of `key` that it had before."""
    config, generation = json.loads(json.dumps(case.config)), dict(case.generation)
    *outer, name = key.split("/")
    place, before = config, MODELS[case.base].config
    if outer == ["generation"]:
        place, before = generation, GENERATION
    elif outer:
        place, before = config[outer[0]], before[outer[0]]
    place.pop(name, None)
    if name in before:
        place[name] = before[name]
    return replace(case, config=config, generation=generation)


def known_failures() -> frozenset[str]:
    """Names of the failures that are stored and not fixed."""
    found = (load(path)[1] for path in FOLDER.glob("*.json"))
    return frozenset(name for name in found if name)


def main() -> int:
    """Exit code 1 for a failure that no stored case has."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int)
    parser.add_argument("--store", type=Path, help="where failures are stored")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("--update", action="store_true", help="with --replay: mark what is fixed")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    if args.replay:
        return _replay(args.update)
    if args.case is not None:
        case = make_config_case(args.seed, args.case, known_keys())
        print(case.base, case.weights, json.dumps({k: _value(case, k) for k in case.changed}))
        print(run_case(case))
        return 0
    started = time.monotonic()
    results, failures = campaign(args.seed, args.count, args.store)
    seconds = time.monotonic() - started
    print(f"\nseed {args.seed}: {args.count:,} configurations in {seconds:.0f} s")
    for result, number in results.most_common():
        print(f"{number:6}  {result}")
    report = {
        "seed": args.seed,
        "configurations": args.count,
        "seconds": round(seconds, 1),
        "transformers": transformers.__version__,
        "results": dict(results),
        "failures": failures,
    }
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    new = failures.keys() - known_failures()
    print("\n".join(f"new: {name} {failures[name][:3]}" for name in sorted(new)))
    return int(bool(new))


def _value(case: ConfigCase, key: str) -> Any:
    place: Any = {"generation": case.generation, **case.config}
    for part in key.split("/"):
        place = place.get(part, "(absent)") if isinstance(place, dict) else place
    return place


def _replay(update: bool) -> int:
    wrong = 0
    for path in sorted(FOLDER.glob("*.json")):
        case, known = load(path)
        verdict = run_case(case)
        fails = known is not None and verdict.result == known.partition(":")[0]
        right = fails if known else not verdict.failed
        print(f"{path.name}: {verdict.result}, {known or 'fixed'} {verdict.ours[:100]}")
        if update and known and not verdict.failed:
            content = json.loads(path.read_text())
            path.write_text(json.dumps({**content, "known": None}, indent=1) + "\n")
        wrong += not right
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
