"""Cases run one after another in a process of their own, with a limit on its memory.

Reads a line of JSON for each case, and answers with a line. Its parent (pool.py) watches the time.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from fuzz import actions
from fuzz.bases import base_files
from fuzz.corpus import load_entry
from fuzz.targets import Case, apply_change, make_case
from litertlm.bundle.adapted_template import AdaptedTemplate, SourceTemplate
from litertlm.services.worker import TemplateLimits, TemplateProcess

# Less time than the program's, which hostile templates take in full.
TEMPLATE_LIMITS = TemplateLimits(seconds=2.0)
_MOST_ADAPTED = 1000
# Address space, above what the imports took: an input of a few kilobytes needs far less, but what a
# template may take must be free, or its excess counts as a machine without memory.
MEMORY = TEMPLATE_LIMITS.memory + (1 << 29)


class _Templates(TemplateProcess):
    """Adapts each template once: most cases have the one of their base."""

    def __init__(self) -> None:
        super().__init__(TEMPLATE_LIMITS)
        self._adapted: dict[str, AdaptedTemplate] = {}

    def begin(self, source: SourceTemplate) -> None:
        if repr(source) not in self._adapted:
            super().begin(source)

    def adapt(self, source: SourceTemplate) -> AdaptedTemplate:
        key = repr(source)
        if key not in self._adapted:
            if len(self._adapted) >= _MOST_ADAPTED:
                self._adapted.clear()
            self._adapted[key] = super().adapt(source)
        return self._adapted[key]


def run_case(case: Case, folder: Path, templates: TemplateProcess) -> actions.Outcome:
    """Put the base with its changes into `folder`, run it, and restore the base."""
    root = folder / case.base.replace(":", "_")
    files = base_files(case.base)
    if not root.exists():
        for name, data in files.items():
            apply_change(root / name, data)
    try:
        for name, change in case.changes.items():
            _remove(root / name)
            apply_change(root / name, change)
        return actions.run(case.base, root, templates, write=case.write)
    finally:
        for name in case.changes:
            _remove(root / name)
            if name in files:
                apply_change(root / name, files[name])


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    """Answer requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what is printed by others must not look like an answer
    with (
        tempfile.TemporaryDirectory(dir=os.environ.get("FUZZ_TMP")) as name,
        _Templates() as templates,
    ):
        folder = Path(name)
        os.environ.update(HOME=name, LITERT_LM_MODELS=f"{name}/models", NO_COLOR="1")
        os.chdir(folder)
        run_case(Case("config", "llama-gqa-tied", {}, write=True), folder, templates)
        _limit_memory()
        print(json.dumps("ready"), file=answers)
        for line in sys.stdin:
            request = json.loads(line)
            if isinstance(request, str):
                case = load_entry(Path(request)).case
            else:
                case = make_case(*request)
            outcome = run_case(case, folder, templates)
            print(json.dumps(dataclasses.asdict(outcome)), file=answers)


if __name__ == "__main__":
    main()
