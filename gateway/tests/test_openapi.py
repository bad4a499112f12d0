"""Our description of the API, and a hundred requests made from it for each operation."""

import jsonschema_rs
import pytest
import schemathesis
from gateway.tests.serving import serving
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from callsheet.operations import OPERATIONS
from callsheet_gateway.openapi import describe

DOCUMENT = describe()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
EACH = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]
WANTED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
CASES = {GenerationMode.POSITIVE: 100, GenerationMode.NEGATIVE: 50}
"""How many that fit the description, and how many that do not."""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A gateway whose videos are quickly made: random requests start real work."""
    folder = tmp_path_factory.mktemp("schema")
    config = folder / "config.yaml"
    models = ["motion-1", "realtime-1", "scribe-1"]
    limits = "size_max: 128, max_seconds: 4, tokens_per_second: 0"
    entries = [f"- model_name: {m}\n  litellm_params: {{model: local/{m}, {limits}}}\n" for m in models]
    config.write_text("model_list:\n" + "".join(entries))
    with serving(folder / "data", "--config", str(config)) as gateway:
        yield gateway


def test_every_operation_is_described():
    named = {methods[method]["operationId"] for methods in DOCUMENT["paths"].values() for method in methods}
    assert set(OPERATIONS) <= named
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.validator_for({**schema, "components": DOCUMENT["components"]})


def test_the_server_gives_the_same_description(gateway):
    with gateway.http() as http:
        assert http.get("/openapi.json").json() == DOCUMENT
        assert http.get(f"{gateway.root}/openapi.json").json() == DOCUMENT


def refusable(operation):
    """Whether a request can break the description: any text fits into a path."""
    return operation.body or any(parameter["in"] != "path" for parameter in operation.definition.raw["parameters"])


MODES = [(*each, GenerationMode.POSITIVE) for each in EACH]
MODES += [(path, method, GenerationMode.NEGATIVE) for path, method in EACH if refusable(SCHEMA[path][method])]


@pytest.mark.parametrize(("path", "method", "mode"), MODES, ids=[f"{m} {p} {mode.value}" for p, m, mode in MODES])
def test_requests_made_from_the_description(small, path, method, mode):
    operation = SCHEMA[path][method]

    @settings(max_examples=CASES[mode], deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def each(case):
        answer = case.call(base_url=small.base_url, timeout=30)
        case.validate_response(answer, checks=[CHECKS.get_one(name) for name in WANTED])

    each()
