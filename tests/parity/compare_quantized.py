"""Compare the readers of quantized weights with the libraries that define the formats.

Not a test, as the libraries are not among the pinned ones. It needs torch, transformers 5.24.0,
compressed-tensors 0.20.0, bitsandbytes 0.50.2 and the sources of autoawq 0.2.9 and gptqmodel 7.7.0
in a folder:

    PYTHONPATH=src:tests python -m parity.compare_quantized FOLDER

It prints the largest relative difference of each form of tests/tiny/quantized.py.
"""

from __future__ import annotations

import ast
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from litertlm.checkpoint import open_checkpoint
from tiny import MODELS
from tiny.quantized import FORMS, write_quantized

MODULE = "model.layers.0.mlp.down_proj"


def dequantized(form: str, parts: dict[str, torch.Tensor], sources: Path) -> torch.Tensor:
    """The weight in float32, by the library of the form."""
    config = dict(FORMS[form].config)
    if form.startswith("fp8"):
        from transformers.integrations.finegrained_fp8 import Fp8Dequantize

        reader = Fp8Dequantize(None)
        return reader._dequantize_one(parts["weight"], parts["weight_scale_inv"], torch.float32)
    if form.startswith("compressed"):
        from compressed_tensors.compressors import BaseCompressor
        from compressed_tensors.quantization import QuantizationScheme

        group = dict(config["config_groups"]["group_0"])
        scheme = QuantizationScheme.model_validate(group)
        compressor = BaseCompressor.get_value_from_registry(config["format"])
        wide = {
            k: v.float() if v.dtype == torch.bfloat16 and k == "weight_scale" else v
            for k, v in parts.items()
        }
        return compressor.decompress(wide, scheme)["weight"].float()
    if form.startswith("gptq"):
        return _gptq(config, parts, sources)
    if form == "awq":
        path = sources / "autoawq-0.2.9/awq/utils/packing_utils.py"
        namespace: dict[str, Any] = {}
        exec(compile(path.read_text(), str(path), "exec"), namespace)
        scales = parts["scales"].float()
        return namespace["dequantize_gemm"](
            parts["qweight"], parts["qzeros"], scales, 4, config["group_size"]
        ).T
    if form == "bitsandbytes-int8":
        import bitsandbytes.functional as functional

        return functional.int8_vectorwise_dequant(parts["weight"], parts["SCB"])
    if form.startswith("bitsandbytes"):
        import bitsandbytes.functional as functional
        from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

        state = {k.removeprefix("weight."): v for k, v in parts.items() if k != "weight"}
        quantized = functional.QuantState.from_dict(state, torch.device("cpu"))
        absmax = quantized.absmax
        if quantized.nested:
            absmax = functional.dequantize_blockwise(absmax, quantized.state2) + quantized.offset
        # The kernel for CPUs expects rows of complete blocks, which other rows are not.
        return _dequantize_4bit_compute(
            parts["weight"].reshape(-1), absmax, quantized.code, quantized.blocksize,
            quantized.shape, torch.float32,
        )  # fmt: skip
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    blocks, scales = parts["weight_blocks"][None], parts["weight_scales"][None]
    return convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)[0].T


def _gptq(config: dict[str, Any], parts: dict[str, torch.Tensor], sources: Path) -> torch.Tensor:
    """GPTQModel's own methods, on an object that has the fields that they read."""
    path = sources / "gptqmodel-7.7.0/gptqmodel/nn_modules/qlinear/__init__.py"
    tree = ast.parse(path.read_text())
    names = ("dequantize_weight", "_dequantize_from_codes", "_torch_right_shift")
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in names
    ]
    namespace: dict[str, Any] = {"t": torch}
    for node in functions:
        exec(compile(ast.Module([node], []), str(path), "exec"), namespace)
    bits = config["bits"]
    shifts = torch.arange(0, 32, bits, dtype=torch.int32)
    qzeros = parts["qzeros"].clone()
    if config.get("checkpoint_format", "gptq") == "gptq":
        qzeros += {4: 0x11111111, 8: 0x01010101}[bits]
    this = types.SimpleNamespace(
        **{**parts, "qzeros": qzeros, "scales": parts["scales"].float()},
        bits=bits, planar=False, maxq=2**bits - 1, pack_factor=32 // bits,
        dequant_dtype=torch.int16 if bits == 8 else torch.int8,
        in_features=len(parts["g_idx"]), wf_unsqueeze_zero=shifts[None, None],
        wf_unsqueeze_neg_one=shifts[None, :, None], _init_wf_unsqueeze_buffers=lambda: None,
    )  # fmt: skip
    this._dequantize_from_codes = types.MethodType(namespace["_dequantize_from_codes"], this)
    return namespace["dequantize_weight"](this).T


def main() -> None:
    """Compare every form."""
    sources = Path(sys.argv[1])
    for form in FORMS:
        with tempfile.TemporaryDirectory() as folder:
            quantized, _, _ = write_quantized(MODELS["qwen2-bias-tied"], FORMS[form], Path(folder))
            stored = load_file(quantized / "model.safetensors")
            prefix = f"{MODULE}."
            parts = {k.removeprefix(prefix): v for k, v in stored.items() if k.startswith(prefix)}
            weight = open_checkpoint(quantized).tensors[f"{MODULE}.weight"]
            have = weight.rows(0, weight.shape[0])
            try:
                want = dequantized(form, parts, sources).numpy()
            except (ValueError, RuntimeError) as error:  # a form that newer versions dropped
                print(f"{form:32} {type(error).__name__}: {error}")
                continue
            difference = np.abs(have - want).max() / np.abs(want).max()
            print(f"{form:32} {difference:.1e}{' (equal bits)' * np.array_equal(have, want)}")


if __name__ == "__main__":
    main()
