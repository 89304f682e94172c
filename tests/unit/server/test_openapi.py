"""The OpenAPI description names all routes, and what it says about numbers and methods is true."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import Route

from litertlm.server.app import create_app
from litertlm.server.state import State
from litertlm.services.serve import Catalog, Manager, ServeOptions
from unit.server.test_api import Served


def test_it_describes_all_routes(tmp_path: Path) -> None:
    served = Served(tmp_path)
    description = served.send("GET", "/openapi.json").json()
    state = State(
        Catalog(served.catalog.store, served.catalog.settings),
        Manager(ServeOptions()),
        served.guard,
    )
    found = {
        route.path.replace("{name:path}", "{id}"): (route.methods or set()) - {"HEAD"}
        for route in create_app(state).routes
        if isinstance(route, Route)
    }
    methods = {"GET", "POST", "DELETE"}
    described = {
        path: {method.upper() for method in operations} & methods
        for path, operations in description["paths"].items()
    }
    assert described == found
    operations = [
        operation
        for path in description["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
    ]
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_wrong_methods_name_the_right_ones(tmp_path: Path) -> None:
    answer = Served(tmp_path).send("GET", "/v1/chat/completions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_whole_numbers_are_integers_in_any_notation(tmp_path: Path) -> None:
    served = Served(tmp_path)
    ask = {"messages": [{"role": "user", "content": "Hi"}]}
    assert served.post("/v1/chat/completions", top_k=40.0, **ask).status_code == 200
    assert served.workers.requests[0].options["top_k"] == 40
    assert served.post("/v1/chat/completions", top_k=40.5, **ask).status_code == 400
    assert served.post("/v1/chat/completions", logit_bias={"1": False}, **ask).status_code == 400
