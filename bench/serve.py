"""Measure servers that speak OpenAI's interface: time to first token, throughput, and a load test.

    python bench/serve.py [--models-dir FOLDER] [--seconds 300] [--other NAME=URL=MODEL ...]

Starts `litert-lm-cli serve demo` for each value of --parallel, and also measures the servers given
with --other (an OpenAI base URL each), in the same run. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

SYSTEM = "You are a helpful assistant. " + "Answer each question in one short sentence. " * 40
QUESTIONS = (
    "What is the capital of France?",
    "And of Italy?",
    "Which of them is older?",
    "What is the river there called?",
    "How long is it?",
)
LOAD_CLIENTS = 32
TOKENS = 48


@dataclass
class Server:
    """Where requests go."""

    name: str
    url: str
    model: str
    pid: int | None = None


@dataclass
class Answer:
    """One streamed answer; seconds are from the request."""

    text: str
    first_s: float
    total_s: float
    tokens: int


def ask(
    server: Server,
    messages: Sequence[dict[str, str]],
    *,
    tokens: int = TOKENS,
    abort_after: int | None = None,
    timeout: float = 600,
) -> Answer:
    """Stream one answer; closes the connection after `abort_after` parts."""
    place = urlsplit(server.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=timeout)
    body = {
        "model": server.model,
        "messages": messages,
        "temperature": 0,
        "max_tokens": tokens,
        "stream": True,
    }
    began = time.perf_counter()
    try:
        connection.request(
            "POST",
            f"{place.path}/chat/completions",
            json.dumps(body),
            {"Content-Type": "application/json", "Authorization": "Bearer unused"},
        )
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"status {response.status}: {response.read()[:200]!r}")
        text, first, parts = "", 0.0, 0
        for line in response:
            if not line.startswith(b"data: {"):
                if line.startswith(b"data: [DONE]"):
                    break
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise RuntimeError(str(event["error"]))
            delta = event["choices"][0]["delta"].get("content") if event["choices"] else None
            if delta:
                first = first or time.perf_counter() - began
                text, parts = text + delta, parts + 1
                if parts == abort_after:
                    break
        else:
            raise RuntimeError("the stream has no end")
        return Answer(text, first, time.perf_counter() - began, parts)
    finally:
        connection.close()


def turns(server: Server) -> tuple[list[float], float, float]:
    """Seconds to the first token of each turn of a new conversation, of the last question again,
    and of a conversation of that length that the server has not seen."""
    nonce = f"Conversation {random.random()}. "
    messages = [{"role": "system", "content": nonce + SYSTEM}]
    times = []
    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        answer = ask(server, messages)
        times.append(answer.first_s)
        asked = list(messages)
        messages.append({"role": "assistant", "content": answer.text})
    again = ask(server, asked).first_s
    unseen = [{"role": "system", "content": f"Conversation {random.random()}. " + SYSTEM}]
    return times, again, ask(server, unseen + asked[1:]).first_s


def throughput(server: Server, clients: int, answers: int = 4) -> float:
    """Tokens per second of all clients together."""
    counts: list[int] = []

    def client(number: int) -> None:
        for turn in range(answers):
            text = f"Tell a story about the number {number * 100 + turn}."
            counts.append(ask(server, [{"role": "user", "content": text}]).tokens)

    began = time.perf_counter()
    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def load(server: Server, seconds: float) -> tuple[Counter[str], int, int]:
    """Many clients with prompts and answers of all lengths, some of which go away.

    Returns:
        How requests ended, and the memory of the server's processes in MB early and at the end.
    """
    ended: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    early = 0

    def client(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < ends:
            prompt = "word " * chance.choice((1, 20, 200, 600)) + f"{chance.random()}"
            abort = chance.choice((None, None, None, 1, 5))
            tokens = chance.choice((1, 8, 32, 64))
            try:
                ask(
                    server,
                    [{"role": "user", "content": prompt}],
                    tokens=tokens,
                    abort_after=abort,
                )
                ended["aborted" if abort else "complete"] += 1
            except (RuntimeError, OSError, ValueError) as error:
                ended[re.sub(r"\d{4,}", "N", str(error))[:120] or type(error).__name__] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(LOAD_CLIENTS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(1)
        if not early and time.monotonic() > ends - seconds * 0.7:
            early = memory_mb(server.pid)
    return ended, early, memory_mb(server.pid)


def memory_mb(pid: int | None) -> int:
    """Private memory of a process and its children; 0 where that is not known."""
    if pid is None or not Path("/proc").exists():
        return 0
    total = 0
    for each in (pid, *children(pid)):
        fields = Path(f"/proc/{each}/statm").read_text().split()
        total += (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
    return total // 1_000_000


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    paths = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(each) for path in paths for each in path.read_text().split()]


@contextmanager
def own(parallel: int, models_dir: str | None) -> Iterator[Server]:
    """Our server."""
    more = ["--models-dir", models_dir] if models_dir else []
    command = [sys.executable, "-m", "litertlm", "serve", "demo", "--port", "0", *more]
    process = subprocess.Popen(
        [*command, "--parallel", str(parallel)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"Listening on (http://\S+)", line):
                name = f"litert-lm-cli serve, --parallel {parallel}"
                yield Server(name, f"{found[1]}/v1", "demo", process.pid)
                break
        else:
            raise SystemExit("the server did not start")
    finally:
        process.terminate()
        process.wait()


def measure(server: Server, clients: Sequence[int]) -> str:
    """A row of the table."""
    ask(server, [{"role": "user", "content": "Hi"}], tokens=4)
    times, again, unseen = turns(server)
    rates = [throughput(server, count) for count in clients]
    first = [times[0], times[-1], again, unseen, times[-1] / unseen, again / unseen]
    cells = [f"{value:.3f}" for value in first] + [f"{rate:.0f}" for rate in rates]
    return f"| {server.name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models-dir")
    parser.add_argument("--parallel", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 2, 8])
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--other", nargs="*", default=[], metavar="NAME=URL=MODEL")
    chosen = parser.parse_args()
    heads = "first turn s | fifth turn s | again s | unseen s | fifth/unseen | again/unseen"
    rates = " | ".join(f"tokens/s, {count} clients" for count in chosen.clients)
    print(f"| server | {heads} | {rates} |\n|{'---|' * (7 + len(chosen.clients))}")
    for parallel in chosen.parallel:
        with own(parallel, chosen.models_dir) as server:
            print(measure(server, chosen.clients), flush=True)
    for text in chosen.other:
        name, url, model = text.split("=")
        print(measure(Server(name, url, model), chosen.clients), flush=True)
    if chosen.seconds:
        with own(chosen.parallel[0], chosen.models_dir) as server:
            ended, early, late = load(server, chosen.seconds)
        print(f"\n{LOAD_CLIENTS} clients, {chosen.seconds:.0f} s: {dict(ended)}")
        print(f"memory {early} MB after 30 % of the time, {late} MB at the end")


if __name__ == "__main__":
    main()
