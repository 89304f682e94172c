"""The Hub: whether it may be asked, how, and whether it accepts the token."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies

from litertlm.errors import LiteRtLmError
from litertlm.progress import SilentProgress
from litertlm.services.doctor.finding import Finding, Level
from litertlm.settings import Settings


def examine_network(settings: Settings) -> Iterator[Finding]:
    """Proxies, certificates, token, and the Hub."""
    yield _proxies()
    if settings.offline:
        yield Finding("hub", Level.OK, "not asked: HF_HUB_OFFLINE is set")
        return
    try:
        from litertlm.hub.endpoint import check_endpoint

        check_endpoint(settings.environment)
        from litertlm.hub.client import open_client
        from litertlm.hub.session import CERTIFICATE_VARIABLES, host_of

        client = open_client(settings.environment, settings.cwd, SilentProgress())
    except LiteRtLmError as error:
        text = " ".join(filter(None, (error.what, error.why)))
        yield Finding("hub", Level.PROBLEM, text, error.hint, private=(str(settings.cwd),))
        return
    named = [name for name in CERTIFICATE_VARIABLES if settings.environment.get(name)]
    yield Finding("certificates", Level.OK, ", ".join(named) if named else "the system's")
    host, token = host_of(client.endpoint), client.token
    from litertlm.hub.probe import ask_hub

    try:
        answer = ask_hub(client)
    except LiteRtLmError as error:
        text = " ".join(filter(None, (error.what, error.why)))
        fix = error.hint.replace("\n", " ") or "Check the network connection."
        yield Finding("hub", Level.PROBLEM, text, fix, private=(host,))
        return
    times = f"{answer.first_seconds:.2f} s, then {answer.next_seconds:.2f} s"
    yield Finding("hub", Level.OK, f"{host} answers in {times}", private=(host,))
    if token is None:
        text = "none: open models need none"
        yield Finding("token", Level.OK, text)
    elif not answer.token_accepted:
        fix = "Create another one: https://huggingface.co/settings/tokens"
        yield Finding(
            "token",
            Level.PROBLEM,
            f"from {token.source}: the Hub does not accept it",
            fix,
            private=(str(token.path),) if token.path else (),
        )
    elif token.readable_by_others:
        yield Finding(
            "token",
            Level.WARNING,
            f"from {token.source}: accepted, but other users can read the file",
            f"chmod 600 {token.path}",
            private=(str(token.path),),
        )
    else:
        private = (str(token.path),) if token.path else ()
        yield Finding("token", Level.OK, f"from {token.source}: accepted", private=private)


def _proxies() -> Finding:
    found = {}
    for scheme, url in sorted(getproxies().items()):
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if scheme != "no" and parts.hostname:  # never a password
            found[scheme] = parts.hostname
    text = ", ".join(f"{scheme}: {host}" for scheme, host in found.items())
    return Finding("proxies", Level.OK, text or "none", private=tuple(found.values()))
