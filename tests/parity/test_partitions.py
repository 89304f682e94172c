"""XNNPACK's partitions in the real interpreter: no copy has one end within one (see
tflite/delegate.py), and later sessions of an engine in the real runtime."""

from pathlib import Path

import pytest
from ai_edge_litert.interpreter import Interpreter

from litertlm.checkpoint import open_checkpoint
from litertlm.families import identify
from litertlm.graph import Model
from litertlm.quantize import RECIPES
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_models, signatures
from litertlm.tflite import write
from parity.bundle import TinyBundles
from parity.test_greedy import greedy_pieces
from tiny import MODELS, write_checkpoint

_COPIES = ("RESHAPE", "CONCATENATION")
# The models whose later sessions were wrong before copies were separated from partitions' ends.
_WERE_WRONG = (
    "ernie4_5-linear-tied",
    "gemma3-vision-renamed",
    "gemma3n_text-untied",
    "granite-bias-untied",
    "helium-linear-tied",
    "lfm3-gates-window-untied",
    "qwen2-sliding-untied",
)


def interpreters(checkpoint: Path, recipe: str, shapes: str, file: Path) -> list[Interpreter]:
    """One for each signature of a model, which then is the primary subgraph."""
    found = []
    source = open_checkpoint(checkpoint)
    family = identify(source.config)
    wanted = signatures(ConvertOptions(recipe=recipe, shapes=shapes, kv_cache_max_len=96))
    for index in range(len(wanted)):
        graph = family.build(source, wanted).graphs[index]
        layout = plan_models({"m": Model((graph,))}, RECIPES[recipe], cache_length=96)["m"]
        with file.open("w+b") as out:
            write(out.fileno(), 0, layout, threads=1, advance=lambda n: None)
        found.append(Interpreter(model_content=file.read_bytes()))
    return found


def copies_across(interpreter: Interpreter) -> list[str]:
    """The copies that XNNPACK computes and that have one end outside of its partitions."""
    interpreter.allocate_tensors()
    details = interpreter._get_ops_details()
    ends: set[int] = set()
    for op in details:
        if op["op_name"] == "DELEGATE":
            ends.update(map(int, [*op["inputs"], *op["outputs"]]))
    assert ends, "XNNPACK computes nothing"
    types = {t["index"]: t["dtype"].__name__ for t in interpreter.get_tensor_details()}
    found = []
    for op in details:
        tensors = [int(i) for i in (*op["inputs"], *op["outputs"]) if types.get(int(i)) != "int32"]
        few = op["op_name"] != "CONCATENATION" or len(op["inputs"]) <= 5
        if op["op_name"] in _COPIES and tensors and few and not ends.isdisjoint(tensors):
            found.append(f"{op['op_name']} {op['index']}")
    return found


@pytest.mark.parametrize("name", MODELS)
def test_no_copy_crosses_the_end_of_a_partition(name: str, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(MODELS[name], tmp_path / "checkpoint")
    for recipe, shapes in (("none", "dynamic"), ("dynamic_int8", "static")):
        for interpreter in interpreters(checkpoint, recipe, shapes, tmp_path / "model.tflite"):
            assert copies_across(interpreter) == []


@pytest.mark.parametrize("name", _WERE_WRONG)
def test_later_sessions_of_an_engine_answer_as_the_first(
    name: str, tiny_bundles: TinyBundles
) -> None:
    answers = greedy_pieces(tiny_bundles.bundle(name), 40, 40, 40, 40)
    assert len(answers[0]) > 1
    assert answers == [answers[0]] * 4
