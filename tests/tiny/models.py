"""All tiny models: those of every module in tiny.families."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from tiny import families
from tiny.model import TinyFamily, TinyModel

# By model_type.
FAMILIES: dict[str, TinyFamily] = {
    family.model_type: family
    for module in pkgutil.iter_modules(families.__path__)
    for family in [import_module(f"tiny.families.{module.name}").FAMILY]
}

# By name.
MODELS: dict[str, TinyModel] = {
    model.name: model for family in FAMILIES.values() for model in family.models
}


def family_of(model: TinyModel) -> TinyFamily:
    """The family of a model's language model."""
    return FAMILIES[model.text_config["model_type"]]
