"""Which file of a repository is chosen, for listings as they are on the Hub."""

import pytest

from litertlm.errors import ModelNotFound, UnsupportedModel
from litertlm.hub.choose import checkpoint_files, choose_bundle, choose_gguf
from litertlm.hub.info import RepoFile, RepoInfo, check_case_conflicts, check_path


def repository(repo, *paths):
    return RepoInfo(
        repo=repo,
        revision=None,
        commit="0" * 40,
        files=tuple(RepoFile(path, 100, "a" * 64, None) for path in paths),
        gated=False,
        private=False,
        licence=None,
        tags=(),
        base_models=(),
        gguf_architecture=None,
    )


def names(files):
    return [f.path for f in files]


# Listings of https://huggingface.co/litert-community, September 2026; the first is the best.
LISTINGS = {
    "gemma-3-270m-it": [
        "gemma3-270m-it-q8.litertlm",
        "gemma3-270m-it-q8-web.task",
        "gemma3-270m-it-q8.mediatek.mt6991.litertlm",
        "gemma3-270m-it-q8.qualcomm.sm8750.litertlm",
        "gemma3-270m-it-q8.task",
    ],
    "Qwen3-0.6B": [
        "Qwen3-0.6B.litertlm",
        "Qwen3-0.6B.mediatek.mt6993.litertlm",
        "Qwen3-0.6B_dynamic_wi4b32_afp32.litertlm",
        "qwen3_0_6b_mixed_int4.litertlm",
    ],
    "Qwen3-4B": [
        "qwen3_4b_channelwise_int8_float32kv.litertlm",
        "qwen3_4b_mixed_int4.litertlm",
    ],
    "granite-4.0-h-350m": [
        "granite-4.0-h-350m_int8.litertlm",
        "granite-4.0-h-350m_fp16.litertlm",
        "granite-4.0-h-350m_int8_gpu.litertlm",
    ],
    "MiniCPM5-1B": [
        "MiniCPM5-1B_dynamic_wi8_afp32.litertlm",
        "minicpm_wi4b32_wi8_afp32.litertlm",
        "minicpm_wi4b32_wi8_afp32_gpu_opt.litertlm",
    ],
    "Qwen2.5-1.5B-Instruct": [
        "Qwen2.5-1.5B-Instruct_multi-prefill-seq_q8_ekv4096.litertlm",
        "Qwen2.5-1.5B-Instruct_multi-prefill-seq_f32_ekv4096.litertlm",
    ],
    "gemma-4-E2B-it-litert-lm": [
        "gemma-4-E2B-it.litertlm",
        "gemma-4-E2B-it-web.litertlm",
        "gemma-4-E2B-it_intel_PTL.litertlm",
        "gemma-4-E2B-it_qualcomm_sm8750.litertlm",
    ],
    "FastContext-1.0-4B-SFT": ["model.litertlm", "model_block128.litertlm"],
}


@pytest.mark.parametrize("repo", LISTINGS)
def test_real_listing(repo):
    paths = LISTINGS[repo]
    for order in (paths, paths[::-1]):
        choice = choose_bundle(repository(f"litert-community/{repo}", *order))
        assert choice.file.path == paths[0]


def test_others_are_told_apart_by_hardware():
    choice = choose_bundle(repository("litert-community/Qwen3-0.6B", *LISTINGS["Qwen3-0.6B"]))
    assert names(choice.others) == [
        "qwen3_0_6b_mixed_int4.litertlm",
        "Qwen3-0.6B_dynamic_wi4b32_afp32.litertlm",
    ]
    assert names(choice.elsewhere) == ["Qwen3-0.6B.mediatek.mt6993.litertlm"]


def test_gpu_prefers_the_gpu_file():
    repo = repository("litert-community/x", *LISTINGS["granite-4.0-h-350m"])
    assert choose_bundle(repo, backend="gpu").file.path == "granite-4.0-h-350m_int8_gpu.litertlm"
    repo = repository("o/x", "x_int8_cpu.litertlm", "x_int8_gpu.litertlm")
    assert choose_bundle(repo, backend="gpu").file.path == "x_int8_gpu.litertlm"
    assert choose_bundle(repo, backend="cpu").file.path == "x_int8_cpu.litertlm"


def test_longer_context_is_preferred_among_equals():
    repo = repository("o/x", "x_q8_ekv1280.litertlm", "x_q8_ekv4096.litertlm")
    assert choose_bundle(repo).file.path == "x_q8_ekv4096.litertlm"


def test_a_word_of_the_models_own_name_is_not_a_mark():
    repo = repository("o/web-intel-llm", "web-intel-llm.litertlm")
    assert choose_bundle(repo).file.path == "web-intel-llm.litertlm"


def test_nothing_for_this_machine():
    assert choose_bundle(repository("o/x", "x.qualcomm.sm8750.litertlm", "x-web.litertlm")) is None


def test_hidden_files_are_no_bundles():
    assert choose_bundle(repository("o/x", ".x.litertlm", "sub/.x.litertlm", "x.LITERTLM")) is None
    assert choose_bundle(repository("o/x", ".x.litertlm", "sub/x.litertlm")).file.name[0] == "x"


def test_wanted_file_overrides_and_must_exist():
    repo = repository("litert-community/Qwen3-0.6B", *LISTINGS["Qwen3-0.6B"])
    wanted = "QWEN3-0.6B.mediatek.mt6993.litertlm"
    assert choose_bundle(repo, wanted=wanted).file.path == LISTINGS["Qwen3-0.6B"][1]
    with pytest.raises(ModelNotFound, match=r"no file 'x\.litertlm'") as caught:
        choose_bundle(repo, wanted="x.litertlm")
    assert "qwen3_0_6b_mixed_int4.litertlm" in caught.value.hint


def test_only_what_conversion_reads_is_taken():
    repo = repository(
        "o/x",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "vocab.json",
        "merges.txt",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "consolidated.safetensors",
        "pytorch_model.bin",
        "onnx/model.onnx",
        "modeling_x.py",
        "README.md",
        "original/model.safetensors",
    )
    shards = ["model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"] * 2
    assert names(checkpoint_files(repo, shards)) == [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]


def test_vocabulary_files_are_taken_where_there_is_no_tokenizer_json():
    repo = repository("o/x", "config.json", "vocab.json", "merges.txt", "model.safetensors")
    assert names(checkpoint_files(repo, None)) == [
        "config.json",
        "vocab.json",
        "merges.txt",
        "model.safetensors",
    ]


@pytest.mark.parametrize(
    "name", ["../../x.safetensors", "/x.safetensors", "a/b.safetensors", "x.bin"]
)
def test_index_that_names_files_elsewhere(name):
    repo = repository("o/x", "config.json", "model.safetensors.index.json")
    with pytest.raises(UnsupportedModel, match="lists a file in another folder"):
        checkpoint_files(repo, [name])


def test_pickles_are_refused_with_the_reason():
    with pytest.raises(UnsupportedModel) as caught:
        checkpoint_files(repository("o/x", "config.json", "pytorch_model.bin"), None)
    assert "pickles (pytorch_model.bin)" in caught.value.why


def test_most_precise_gguf():
    ranked = [
        "x-F32.gguf",
        "x-BF16.gguf",
        "x-f16.gguf",
        "x-Q8_0.gguf",
        "x-Q6_K.gguf",
        "sub/x.Q4_K_M.gguf",
        "x-Q4_K_S.gguf",
        "x-Q4_1.gguf",
        "x-IQ4_XS.gguf",
        "x-Q2_K.gguf",
        "x.gguf",
    ]
    useless = ["mmproj-x-F32.gguf", "x-F32-00001-of-00002.gguf", "x.imatrix.gguf"]
    choice = choose_gguf(repository("o/x-GGUF", *useless, *reversed(ranked)))
    assert names([choice.file, *choice.others]) == ranked
    assert choose_gguf(repository("o/x", *ranked), wanted="X-q8_0.gguf").file.path == ranked[3]
    assert choose_gguf(repository("o/x", *useless)) is None


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "/etc/x",
        "C:/x",
        "a\\..\\x",
        "a//x",
        "",
        "x\x1b[2J",
        "x\n",
        "x\u202e",
        "a" * 300,
    ],
)
def test_unsafe_names_are_refused_in_an_escaped_form(path):
    with pytest.raises(UnsupportedModel, match="Refused o/x") as caught:
        check_path(path, "o/x")
    assert caught.value.why.isprintable()


def test_names_that_differ_only_in_case():
    repo = repository("o/x", "model.safetensors", "Model.safetensors", "README.md", "readme.md")
    with pytest.raises(UnsupportedModel, match="letter case"):
        check_case_conflicts(repo, repo.files[:1])
