"""Other programs to compare with, each in its own virtual environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

ENVIRONMENTS = Path(__file__).resolve().parent.parent / ".venv-peers"

# 0.10.0 cannot be imported without TensorFlow. torch is pinned so that a CPU build is used if one
# is available.
LITERT_TORCH = ("litert-torch==0.9.4", "torch==2.13.0", "transformers==5.14.1")
# The first one that knows Gemma 4.
LITERT_TORCH_0_10 = (
    "litert-torch==0.10.0", "tensorflow-cpu==2.21.0", "torch==2.13.0", "transformers==5.14.1",
)  # fmt: skip


def environment(name: str, *packages: str) -> Path:
    """The Python of a virtual environment with `packages` installed."""
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "made").touch()
    return python


# Compiles llama.cpp, which takes minutes and needs a C++ compiler.
LLAMA_CPP = ("llama-cpp-python==0.3.16",)


def litert_torch(checkpoint: Path, output: Path, model_type: str) -> float:
    """Seconds of `litert-torch export_hf` with our default parameters, as a complete process."""
    gemma4 = model_type == "gemma4_text"
    if gemma4:
        python = environment("litert-torch-0.10", *LITERT_TORCH_0_10)
    else:
        python = environment("litert-torch", *LITERT_TORCH)
    output.mkdir(parents=True)
    command = [
        str(python), "-m", "litert_torch.cli", "export_hf",
        f"--model={checkpoint}", f"--output_dir={output}",
        "--prefill_lengths=[8,64,128,256,512,1024]", "--cache_length=1280",
        "--quantization_recipe=dynamic_wi8_afp32",
        # Else: "LiteRTGemma4TextModel does not support setting experts implementation".
        *(["--moe_exports_implementation=eager"] if gemma4 else []),
    ]  # fmt: skip
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    if not any(output.rglob("*.litertlm")) and not any(output.rglob("*.tflite")):
        raise SystemExit("litert-torch wrote no model")
    return seconds


def llama_cpp(script: str, *arguments: str) -> str:
    """The output of a Python program that imports `llama_cpp`."""
    python = environment("llama.cpp", *LLAMA_CPP)
    command = [str(python), "-c", script, *arguments]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout
