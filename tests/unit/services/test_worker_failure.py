"""A worker that fails before it has its second request."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest

from litertlm.services.verify.runtime_comparison import RuntimeComparison
from litertlm.services.verify.stub_bundle import plain_sections
from litertlm.services.worker import TemplateProcess, Worker, WorkerFailed
from tiny import MODELS, write_checkpoint


def test_a_worker_that_has_removed_its_folder_is_reported_and_not_an_internal_error(tmp_path):
    from litertlm.bundle.prompt_config import read_prompt_config
    from litertlm.bundle.template_adapter import adapt
    from litertlm.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "tiny"))
    with Worker("texts") as worker:
        shutil.rmtree(worker.folder)  # as it does when it ends
        wanted = read_prompt_config(checkpoint, adapt)
        RuntimeComparison(worker, TemplateProcess()).begin(plain_sections(), wanted)
        with pytest.raises(WorkerFailed):
            worker.receive(60)


def test_a_worker_does_not_get_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret-0123456789")
    given: list[dict[str, str]] = []
    start = subprocess.Popen

    def popen(*arguments: Any, **more: Any) -> Any:
        given.append(more["env"])
        return start(*arguments, **more)

    monkeypatch.setattr(subprocess, "Popen", popen)
    with Worker("texts"):
        pass
    assert given
    assert "HF_TOKEN" not in given[0]
    assert given[0]["PATH"] == os.environ["PATH"]


def test_a_worker_in_the_background_does_not_get_ctrl_c_of_the_terminal() -> None:
    with Worker("templates", shares_files=False, background=True) as worker:
        assert worker._process is not None
        assert os.getpgid(worker._process.pid) != os.getpgid(0)
