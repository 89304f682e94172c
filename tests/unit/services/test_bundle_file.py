"""A bundle with several TFLite files, written by the code of every conversion."""

from __future__ import annotations

import hashlib
import os
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from litertlm.bundle_format.constants import LLM_METADATA, TFLITE_MODEL
from litertlm.bundle_format.header import read_header, read_section
from litertlm.graph import Constant, DType, Graph, Model, ops
from litertlm.quantize import RECIPES
from litertlm.services import bundle_file
from litertlm.services.bundle_file import BundleLayout, Section, tflite_section
from litertlm.services.convert.plan import plan_models
from litertlm.store.files import hash_in_background

WIDTH, VOCABULARY = 64, 40
RECIPE_NAMES = ("none", "int8", "dynamic_int8", "dynamic_int4")


def values(name: str, rows: int) -> NDArray[np.float32]:
    random = np.random.default_rng(zlib.crc32(name.encode()))
    return random.standard_normal((rows, WIDTH), dtype=np.float32) / np.float32(8)


def weight(name: str, rows: int, changed_row: int | None) -> Constant:
    data = values(name, rows)
    if changed_row is not None:
        data[changed_row] *= 2
    return Constant(name, data.shape, DType.FLOAT32, lambda a, b: data[a:b].copy())


def embedder(changed_row: int | None = None) -> Model:
    graph = Graph("decode_embedder")
    ids = graph.input("token_ids", (3,), DType.INT32)
    rows = ops.embedding_lookup(ids, graph.constant(weight("table", VOCABULARY, changed_row)))
    graph.output("embeddings", rows)
    return Model((graph,))


def adapter(changed_row: int | None = None) -> Model:
    graph = Graph("vision_adapter")
    x = graph.input("soft_tokens", (1, 4, WIDTH))
    linear = graph.constant(weight("linear", WIDTH, changed_row))
    graph.output("mm_embedding", ops.tanh(ops.fully_connected(x, linear)))
    return Model((graph,))


def bundle_of(recipe: str, models: Mapping[str, Model] | None = None) -> BundleLayout:
    models = models or {"tf_lite_embedder": embedder(), "tf_lite_vision_adapter": adapter()}
    layouts = plan_models(models, RECIPES[recipe], cache_length=8)
    sections = [
        Section(LLM_METADATA, b"metadata"),
        *(tflite_section(name, layout) for name, layout in layouts.items()),
    ]
    return bundle_file.place(sections, {"uuid": str(uuid.UUID(int=0)), "recipe": recipe})


def write(bundle: BundleLayout, path: Path) -> str:
    """Write a bundle; its SHA-256 as it was computed while it was written."""
    path.touch()
    written: list[int] = []
    with hash_in_background(path) as file:
        fd = os.open(path, os.O_RDWR)
        try:
            bundle_file.write(fd, bundle, threads=3, advance=written.append, final=file.mark_final)
        finally:
            os.close(fd)
        file.finish()
        assert sum(written) == bundle.weights_nbytes
        return file.sha256()


def run(model: bytes, **inputs: NDArray[np.generic]) -> NDArray[np.float32]:
    interpreter = Interpreter(model_content=model)
    (signature,) = interpreter.get_signature_list()
    (result,) = interpreter.get_signature_runner(signature)(**inputs).values()
    return np.asarray(result, np.float32)


@pytest.mark.parametrize("recipe", RECIPE_NAMES)
def test_two_models_are_written_and_both_run(recipe: str, tmp_path: Path) -> None:
    path = tmp_path / "two.litertlm"
    bundle = bundle_of(recipe)
    sha256 = write(bundle, path)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_size == bundle.nbytes

    header = read_header(path)
    found = [s for s in header.sections if s.kind == TFLITE_MODEL]
    assert [s.items["model_type"] for s in found] == ["tf_lite_embedder", "tf_lite_vision_adapter"]
    assert found[0].end <= found[1].begin
    tolerance = 0.35 if recipe == "dynamic_int4" else 0.05

    ids = np.array([0, 7, VOCABULARY - 1], np.int32)
    have = run(read_section(path, found[0]), token_ids=ids)
    np.testing.assert_allclose(have, values("table", VOCABULARY)[ids], atol=0.02)

    x = values("x", 4)[None]
    have = run(read_section(path, found[1]), soft_tokens=x)
    want = np.tanh(x @ values("linear", WIDTH).T)
    np.testing.assert_allclose(have, want, atol=1e-5 if recipe == "none" else tolerance)


def test_the_uuid_covers_every_model(tmp_path: Path) -> None:
    def uuid_of(**models: Model) -> str:
        path = tmp_path / "bundle.litertlm"
        write(bundle_of("none", models), path)
        return str(read_header(path).system["uuid"])

    first = uuid_of(first=embedder(), second=adapter())
    assert first != str(uuid.UUID(int=0))
    assert first == uuid_of(first=embedder(), second=adapter())
    assert first != uuid_of(first=embedder(0), second=adapter())
    assert first != uuid_of(first=embedder(), second=adapter(-1))
    assert first != uuid_of(first=embedder())
