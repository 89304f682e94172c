"""Counters in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from litertlm.services.serve import Finished, Manager

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass
class Metrics:
    """What happened since the server started."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    prompt_tokens: int = 0
    reused_tokens: int = 0
    answer_tokens: int = 0
    cache_hits: int = 0
    answers: int = 0
    _first_token: Counter[float] = field(default_factory=Counter)
    _first_token_sum: float = 0.0

    def finished(self, answer: Finished) -> None:
        """Count an answer."""
        self.answers += 1
        self.prompt_tokens += answer.prompt_tokens
        self.reused_tokens += answer.reused_tokens
        self.answer_tokens += answer.answer_tokens
        self.cache_hits += answer.reused_tokens > 0
        self._first_token_sum += answer.first_token_s
        for limit in _BUCKETS:
            self._first_token[limit] += answer.first_token_s <= limit

    def text(self, manager: Manager) -> str:
        """All metrics."""
        loaded = manager.loaded()
        lines = ["# TYPE litertlm_requests_total counter"]
        for (path, status), count in sorted(self.requests.items()):
            lines.append(f'litertlm_requests_total{{path="{path}",status="{status}"}} {count}')
        for name, kind, value in (
            ("prompt_tokens_total", "counter", self.prompt_tokens),
            ("prompt_tokens_cached_total", "counter", self.reused_tokens),
            ("answer_tokens_total", "counter", self.answer_tokens),
            ("cache_hits_total", "counter", self.cache_hits),
            ("worker_crashes_total", "counter", manager.crashes),
            ("queue_length", "gauge", manager.waiting),
            ("models_loaded", "gauge", len(loaded)),
            ("models_memory_bytes", "gauge", sum(model.memory_bytes for model in loaded)),
        ):
            lines += [f"# TYPE litertlm_{name} {kind}", f"litertlm_{name} {value}"]
        name = "litertlm_time_to_first_token_seconds"
        lines.append(f"# TYPE {name} histogram")
        for limit in _BUCKETS:
            lines.append(f'{name}_bucket{{le="{limit:g}"}} {self._first_token[limit]}')
        lines += [
            f'{name}_bucket{{le="+Inf"}} {self.answers}',
            f"{name}_sum {self._first_token_sum:.6f}",
            f"{name}_count {self.answers}",
        ]
        return "\n".join(lines) + "\n"
