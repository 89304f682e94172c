"""The documents name what the program has."""

from __future__ import annotations

import hashlib
from pathlib import Path

from doc_tables import families_table, keys_table
from litertlm.checkpoint.gguf_architectures import ARCHITECTURES
from litertlm.families.rope import ROPE_TYPES
from litertlm.server import web
from litertlm.services.acquire.catalog import CATALOG

DOCS = Path(__file__).parents[2] / "docs"


def test_models_document_has_the_tables_of_families_and_keys() -> None:
    text = (DOCS / "models.md").read_text()
    assert families_table() in text, "run python -m doc_tables"
    assert keys_table() in text, "run python -m doc_tables"


def test_dependencies_document_has_the_hashes_of_the_libraries_of_the_page() -> None:
    libraries = list((Path(web.__file__).parent / "page" / "vendor").glob("*.js"))
    assert libraries
    for library in libraries:
        digest = hashlib.sha256(library.read_bytes()).hexdigest()
        assert f"`{digest}`" in (DOCS / "dependencies.md").read_text(), library.name


def test_models_document_names_every_gguf_architecture() -> None:
    text = (DOCS / "models.md").read_text()
    assert [name for name in ARCHITECTURES if f"`{name}`" not in text] == []


def test_models_document_names_every_rotation_and_every_short_name() -> None:
    text = (DOCS / "models.md").read_text()
    missing = [name for name in ROPE_TYPES if f"`{name}`" not in text]
    for entry in CATALOG:
        row = next((line for line in text.splitlines() if f"| `{entry.alias}` |" in line), "")
        facts = [f"{entry.context:,}", entry.licence] + ["gated"] * entry.gated
        facts += [] if entry.package else [entry.model]
        missing += [f"{entry.alias}: {fact}" for fact in facts if fact not in row]
    assert not missing


def test_security_document_has_the_limits_of_the_code() -> None:
    from litertlm.bundle_format import header, info
    from litertlm.checkpoint import gguf_header, safetensors, tokenizer_files
    from litertlm.cli.commands import run
    from litertlm.cli.repl import conversation_file
    from litertlm.families.decoder_config import MOST_LAYERS
    from litertlm.hub import client, pace
    from litertlm.services.chat import attachments, tools
    from litertlm.services.verify import runtime_comparison
    from litertlm.services.worker import TemplateLimits

    lines = (DOCS / "security.md").read_text().splitlines()
    rows = {cells[1].strip(): cells[2].strip() for x in lines if len(cells := x.split("|")) == 5}
    template = TemplateLimits()
    documented = {
        "rendering a chat template: processor time, memory, characters of a prompt": (
            f"{template.seconds:.0f} s, {template.memory >> 20:,} MiB, {template.length:,}"
        ),
        "safetensors header": f"{safetensors.HEADER_LIMIT // 10**6} MB",
        "tokenizer files": f"{tokenizer_files._TOKENIZER_LIMIT // 10**6} MB",
        "chat template file": f"{tokenizer_files._TEXT_LIMIT // 10**6} MB",
        "GGUF: key, tensor name, string, elements of an array, dimensions": (
            f"{gguf_header._KEY_LIMIT:,} bytes, {gguf_header._NAME_LIMIT} bytes, "
            f"{gguf_header._STRING_LIMIT // 10**6} MB, {gguf_header._ARRAY_LIMIT:,}, "
            f"{gguf_header._MAX_DIMS}"
        ),
        "layers of a model": f"{MOST_LAYERS:,}",
        "bundle: header, metadata section": (
            f"{header._LARGEST_HEADER >> 20} MiB, {info._LARGEST_METADATA >> 20} MiB"
        ),
        "answer of the Hub about a repository": (
            f"{client.METADATA_LIMIT >> 20} MiB, {client.METADATA_SECONDS:.0f} s"
        ),
        "connecting to a server": f"{client.CONNECT_SECONDS:.0f} s",
        "tries without a byte of progress": f"{client.TRIES}",
        "minimum speed of a download (`LITERT_LM_MIN_DOWNLOAD_SPEED`)": (
            f"{pace.MIN_SPEED:,} bytes/s over {pace.WINDOW_S:.0f} s"
        ),
        "longest wait that a server may ask for": f"{client.LONGEST_WAIT:.0f} s",
        "prompt, piped input, schema": f"{run._MAX_TEXT_BYTES // 10**6} MB",
        "saved conversation": f"{conversation_file._MAX_BYTES // 10**6} MB",
        "attachment": f"{attachments.LARGEST // 10**6} MB",
        "rounds of function calls for one question": f"{tools._MOST_ROUNDS}",
        "function calls for one question (`--max-tool-calls`)": f"{tools.MAX_CALLS}",
        "duration of a function call (`--tool-timeout`)": f"{tools.TIMEOUT_S:.0f} s",
        "comparing prompts and tokens with the runtime": f"{runtime_comparison._SECONDS:.0f} s",
    }
    assert {name: rows.get(name) for name in documented} == documented


def test_flags_of_functions_name_the_defaults_of_the_code() -> None:
    from litertlm.services.chat import tools

    text = (DOCS / "chat.md").read_text()
    assert f"for one question (default: {tools.MAX_CALLS})." in text
    assert f"of one function call (default: {tools.TIMEOUT_S:.0f})." in text
