"""Our description of the API, and requests made from it, at a gateway that asks for keys: two hundred for each operation,
and half as many for what is the gateway's own.
"""

import jsonschema_rs
import pytest
import requests
import schemathesis
import yaml
from attrs import frozen
from core.tests.offers import OFFER
from gateway.tests.serving import serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from callsheet.operations import OPERATIONS
from callsheet.testing import FAKE_KEY, FakeUpstream
from callsheet_gateway.openapi import describe

DOCUMENT = describe()
SCHEMA = schemathesis.openapi.from_dict(
    DOCUMENT,  # keys are given below
    config=schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}}),
)
EACH = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]
WANTED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CASES = {POSITIVE: 140, NEGATIVE: 60}
"""How many that fit the description, and how many that do not. Where a request can't but fit, all of them do."""
MASTER = "sk-cs-of-the-described-0123456789"
MODELS = {"film": "sora-2", "talk": "gpt-realtime", "text": "gpt-5.4"}


@frozen
class Asked:
    """A gateway, over a vendor on loopback that answers at once."""

    base_url: str
    session: requests.Session
    keys: dict[bool, dict[str, str]]
    """Headers with the master key (True), and with a virtual one."""
    known: dict[str, str]
    """What can stand in a path, by the parameter's name."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schema")
    with FakeUpstream(polls_until_done=0).serve() as url, requests.Session() as session:
        entries = [
            {"model_name": name, "litellm_params": {"model": f"openai/{model}", "api_base": url, "api_key": FAKE_KEY}}
            for name, model in MODELS.items()
        ]
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump({"model_list": entries}))
        session.trust_env = False
        with serving(folder / "data", "--config", str(config), CALLSHEET_MASTER_KEY=MASTER) as gateway:
            master = {"authorization": f"Bearer {MASTER}"}

            def made(path, headers, **body):
                answer = session.post(gateway.base_url + path, headers=headers, **body)
                assert answer.status_code in {200, 201}, answer.text
                return answer

            ours, spare = [made("/keys", master, json={"name": name}).json() for name in ("ours", "spare")]
            own = {"authorization": f"Bearer {ours['key']}"}
            clip = {"video": ("a.mp4", b"\0\0\0\x18ftypmp42" + bytes(64), "video/mp4")}
            call = made(
                "/realtime/calls?model=talk", own | {"content-type": "application/sdp"}, data=OFFER
            )  # as a program does, without an ephemeral key
            luna = made("/videos/characters", own, data={"name": "Luna", "model": "film"}, files=clip)
            known = {
                "video_id": made("/videos", own, json={"model": "film", "prompt": "A fox"}).json()["id"],
                "character_id": luna.json()["id"],
                "response_id": made("/responses", own, json={"model": "text", "input": "Hi"}).json()["id"],
                "call_id": call.headers["location"].rpartition("/")[2],
                "key_id": spare["id"],
                "owner": spare["owner"],
                "model": "film",
            }
            yield Asked(gateway.base_url, session, {True: master, False: own}, known)


def test_every_operation_is_described():
    named = {methods[method]["operationId"] for methods in DOCUMENT["paths"].values() for method in methods}
    assert set(OPERATIONS) <= named
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.validator_for({**schema, "components": DOCUMENT["components"]})


def test_the_server_gives_the_same_description(gateway):
    with gateway.http() as http:
        assert http.get("/openapi.json").json() == DOCUMENT
        assert http.get(f"{gateway.root}/openapi.json").json() == DOCUMENT


def refusable(path, method):
    """Whether a request can break the description: any text fits into a path."""
    operation = SCHEMA[path][method]
    return operation.body or any(parameter["in"] != "path" for parameter in operation.definition.raw["parameters"])


MODES = [(path, method, mode) for path, method in EACH for mode in CASES if mode is POSITIVE or refusable(path, method)]


@pytest.mark.parametrize(("path", "method", "mode"), MODES, ids=[f"{m} {p} {mode.value}" for p, m, mode in MODES])
def test_requests_made_from_the_description(asked, path, method, mode):
    operation = SCHEMA[path][method]
    cases = CASES[mode] if refusable(path, method) else sum(CASES.values())
    if operation.definition.raw["operationId"] not in OPERATIONS:
        cases //= 2  # what is the gateway's own is simple
    headers = asked.keys[path.startswith(("/keys", "/owners"))]
    # Many requests are for something that there is; what is deleted once is gone.
    names = set(asked.known) if method != "delete" else set()

    @settings(
        max_examples=cases,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans())
    def each(case, there):
        if there:
            case.path_parameters |= {name: asked.known[name] for name in names & set(case.path_parameters)}
            case.query.pop("starting_after", None)  # a vendor has nothing to stream there
        answer = case.call(base_url=asked.base_url, timeout=30, headers=headers, session=asked.session)
        media = answer.headers.get("content-type", [""])[0]
        streamed = media.startswith("text/event-stream")  # one text, and not a value for each event
        case.validate_response(answer, checks=[CHECKS.get_one(name) for name in WANTED[: -1 if streamed else None]])
        assert answer.status_code != 401

    each()
