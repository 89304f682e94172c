"""The model card: a README.md whose first lines are metadata for the Hub."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from litertlm import __version__
from litertlm.services.publish.terms import Terms
from litertlm.store import InstalledModel
from litertlm.units import format_bytes

TAG = "litert-lm-cli"  # of every card that this module writes
_HUB = "https://huggingface.co"

# The licences that the Hub has identifiers for, as far as language models use them; others are
# `other` with a name (https://huggingface.co/docs/hub/repositories-licenses).
_HUB_LICENCES = frozenset(
    {
        *("apache-2.0", "mit", "gemma", "unknown"),
        *("llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4"),
        *("openrail", "bigscience-openrail-m", "creativeml-openrail-m"),
        *("bigcode-openrail-m", "bigscience-bloom-rail-1.0"),
        *("bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "isc", "unlicense", "zlib"),
        *("cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
        *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
        *("cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
        *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
        *("gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "agpl-3.0"),
        *("artistic-2.0", "mpl-2.0", "epl-2.0", "eupl-1.1", "eupl-1.2", "wtfpl", "ms-pl"),
        *(
            "deepfloyd-if-license",
            "apple-amlr",
            "apple-ascl",
            "fair-noncommercial-research-license",
        ),
    }
)
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~])")


def model_card(
    model: InstalledModel, repo: str, terms: Terms, checks: Sequence[Mapping[str, Any]]
) -> str:
    """The card of `model` in the repository `repo`.

    It has no path of this machine: of a local checkpoint only that it is one.

    Args:
        checks: of `verify`, as it records them.
    """
    lines = [*_front_matter(model, terms), "", f"# {repo.partition('/')[2]}", ""]
    lines += [_introduction(model, terms), ""]
    lines += ["## Run it", "", "```sh", f"litert-lm-cli run {repo}", "```", ""]
    lines += ["## Provenance", "", *_table(("", ""), _provenance(model, terms)), ""]
    lines += ["## Quality", "", *_quality(checks), ""]
    lines += ["## Licence", "", _licence(terms)]
    return "\n".join(lines) + "\n"


def _front_matter(model: InstalledModel, terms: Terms) -> list[str]:
    known = model.provenance
    fields: dict[str, str | list[str]] = {}
    if terms.licence:
        licence = terms.licence.lower()
        if licence in _HUB_LICENCES:
            fields["license"] = licence
        else:
            fields |= {"license": "other", "license_name": licence}
            if link := _licence_link(terms):
                fields["license_link"] = link
    fields["library_name"] = "litert-lm"
    fields["pipeline_tag"] = "text-generation"
    if terms.bases:
        fields["base_model"] = terms.bases[0] if len(terms.bases) == 1 else list(terms.bases)
    if len(terms.bases) == 1 and known and known.recipe:
        fields["base_model_relation"] = "quantized"
    recipe = [known.recipe] if known and known.recipe else []
    fields["tags"] = ["litert", "litert-lm", TAG, *recipe]
    lines = ["---"]
    for name, value in fields.items():
        if isinstance(value, str):
            lines.append(f"{name}: {json.dumps(value)}")  # JSON is YAML
        else:
            lines += [f"{name}:", *(f"- {json.dumps(item)}" for item in value)]
    return [*lines, "---"]


def _introduction(model: InstalledModel, terms: Terms) -> str:
    known = model.provenance
    source = " and ".join(_link(base) for base in terms.bases) or "a local checkpoint"
    if known and known.recipe:
        return (
            f"A [LiteRT-LM](https://github.com/google-ai-edge/LiteRT-LM) bundle of {source}, "
            f"converted by litert-lm-cli {_text(known.versions.get(TAG, __version__))}."
        )
    return f"A [LiteRT-LM](https://github.com/google-ai-edge/LiteRT-LM) bundle from {source}."


def _provenance(model: InstalledModel, terms: Terms) -> list[tuple[str, str]]:
    known = model.provenance
    rows = []
    for base in terms.bases:
        commit = terms.commits.get(base)
        rows.append(("Base model", _link(base) + (f" at commit `{commit}`" if commit else "")))
    if known is None:
        return [*rows, ("File", f"`{model.bundle.name}`")]
    if known.parameters:
        rows.append(("Parameters", _text(known.parameters)))
    if known.recipe:
        rows.append(("Recipe", f"`{known.recipe}`"))
    options = [f"{key} {value}" for key, value in known.options.items() if value is not None]
    if options:
        rows.append(("Options", _text(", ".join(options))))
    rows.append(("File", f"`{model.bundle.name}`, {format_bytes(known.size_bytes)}"))
    rows.append(("SHA-256", f"`{known.sha256}`"))
    rows.append(("Created", _text(known.created)))
    versions = [f"{name} {version}" for name, version in known.versions.items()]
    if versions:
        rows.append(("Versions", _text(", ".join(versions))))
    return rows


def _quality(checks: Sequence[Mapping[str, Any]]) -> list[str]:
    """What `verify` found."""
    if not checks:
        return ["It was not verified."]
    rows = []
    for check in checks:
        result = str(check.get("verdict"))
        if result != "not checked":  # the summary has the reason, which is one of this machine
            result += f": {check.get('summary')}"
        rows.append((_text(str(check.get("name"))), _text(result)))
    return [
        "Compared with the checkpoint by `litert-lm-cli verify`:",
        "",
        *_table(("Check", "Result"), rows),
    ]


def _licence(terms: Terms) -> str:
    source = " and ".join(_link(base) for base in terms.bases) or "its base model"
    if terms.licence is None:
        return f"The licence of {source} is not known. Its terms hold for this bundle."
    text = f"The terms of {source} hold for this bundle: {_text(terms.licence)}."
    if terms.adapter_licence and terms.adapter_licence != terms.licence:
        text = text.removesuffix(".") + f", and {_text(terms.adapter_licence)} for the adapter."
    if terms.texts:
        text += f" See {', '.join(f'[{_text(name)}]({name})' for name in terms.texts)}."
    if terms.gated:
        text += " They must be accepted at the page of the base model."
    return text


def _licence_link(terms: Terms) -> str | None:
    first = next((name for name in terms.texts if name.upper().startswith("LICEN")), None)
    return first or (f"{_HUB}/{terms.bases[0]}" if terms.bases else None)


def _link(repo: str) -> str:
    return f"[{_text(repo)}]({_HUB}/{repo})"


def _table(head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> list[str]:
    return [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)]


def _text(text: str) -> str:
    """`text` on one line, without a meaning in Markdown."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
