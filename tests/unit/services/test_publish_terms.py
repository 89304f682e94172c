"""Licences of what `publish` uploads, and the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from litertlm.errors import UsageError
from litertlm.services.checkpoint_source import CheckpointSource
from litertlm.services.publish.card import model_card
from litertlm.services.publish.terms import Terms, check_terms, terms_on_disk
from litertlm.store import InstalledModel, Provenance


def installed(tmp_path: Path, **provenance: Any) -> InstalledModel:
    fields: dict[str, Any] = {
        "model": "maker/model",
        "source": "hub",
        "origin": "maker/model",
        "sha256": "ab" * 32,
        "size_bytes": 1000,
        "created": "2026-01-02T03:04:05+00:00",
        "recipe": "dynamic_int8",
        **provenance,
    }
    bundle = tmp_path / "model.litertlm"
    return InstalledModel("maker/model", bundle, tmp_path, tmp_path, Provenance(**fields))


def folder(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name.replace("_", ".")).write_text(text)
    return path


def metadata(card: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.removeprefix("---\n").partition("\n---\n")[0])
    return found


def test_an_adapter_has_the_terms_of_its_base_and_its_own(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", LICENSE="of the base", NOTICE="same")
    adapter = folder(tmp_path / "adapter", LICENSE="of the adapter", NOTICE="same")
    model = installed(
        tmp_path, origin="me/tuned", base="maker/base", licence="mit", base_licence="llama3.2"
    )
    terms = terms_on_disk(model, CheckpointSource(adapter, base))
    assert (terms.licence, terms.adapter_licence) == ("llama3.2", "mit")
    assert (terms.bases, terms.adapter) == (("me/tuned", "maker/base"), "me/tuned")
    assert terms.texts == {
        "LICENSE": b"of the base",
        "NOTICE": b"same",
        "ADAPTER_LICENSE": b"of the adapter",
    }
    card = model_card(model, "me/bundle", check_terms(terms, None, public=True), [])
    assert metadata(card)["license"] == "llama3.2"
    assert metadata(card)["base_model"] == ["me/tuned", "maker/base"]
    assert "llama3.2, and mit for the adapter." in card


def test_a_local_checkpoint_has_the_licence_of_its_card_and_no_path(tmp_path: Path) -> None:
    path = folder(tmp_path / "secret place", README_md="---\nlicense: 'cc-by-4.0'\n---\n# x\n")
    model = installed(tmp_path, source="local", origin=str(path), licence=None)
    terms = terms_on_disk(model, CheckpointSource(path))
    assert (terms.licence, terms.bases) == ("cc-by-4.0", ())
    card = model_card(model, "me/bundle", terms, [])
    assert "secret" not in card
    assert "base_model" not in metadata(card)


def test_gemma_is_gated_and_has_its_notice(tmp_path: Path) -> None:
    terms = terms_on_disk(installed(tmp_path, licence="gemma", gated=True), None)
    assert check_terms(terms, None, public=False).texts["NOTICE"].startswith(b"Gemma is provided")
    with pytest.raises(UsageError, match="must be accepted first: gemma") as refused:
        check_terms(terms, None, public=True)
    assert "--i-accept gemma" in refused.value.hint
    assert check_terms(terms, "Gemma", public=True).licence == "gemma"
    with pytest.raises(UsageError, match="is gemma, not mit"):
        check_terms(terms, "mit", public=False)


def test_an_unknown_licence_must_be_named_for_all_to_see(tmp_path: Path) -> None:
    terms = Terms()
    assert check_terms(terms, None, public=False).licence is None
    with pytest.raises(UsageError, match="is not known"):
        check_terms(terms, None, public=True)
    assert check_terms(terms, "MIT", public=True).licence == "MIT"


def test_texts_of_others_have_no_meaning_in_the_card(tmp_path: Path) -> None:
    model = installed(tmp_path, parameters="1b | <b>", versions={"litert-lm-cli": "1\n## Evil"})
    terms = Terms(bases=("maker/model",), licence='x"\ngated: [1')
    checks = [
        {"name": "quality", "verdict": "passed", "summary": "a | b\n# c"},
        {"name": "prompts", "verdict": "not checked", "summary": "give it with --checkpoint"},
    ]
    card = model_card(model, "me/bundle", terms, checks)
    assert metadata(card)["license_name"] == 'x"\ngated: [1'
    assert "gated" not in metadata(card)
    lines = card.splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# bundle",
        "## Run it",
        "## Provenance",
        "## Quality",
        "## Licence",
    ]
    assert "| quality | passed: a \\| b \\# c |" in lines
    assert "| prompts | not checked |" in lines
    assert "| Parameters | 1b \\| \\<b\\> |" in lines
