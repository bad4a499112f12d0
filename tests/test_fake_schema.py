"""Every answer of the fake upstream, and every request that its tests send, against OpenAI's published schemas."""

import pytest
from core.tests.fake_kit import NOW, WAYS, tour
from tests.wire_schema import JudgedUpstream, schema_errors, specification

from callsheet.testing import ROUTES, FakeUpstream


@pytest.fixture(scope="module")
def judged():
    fake = JudgedUpstream(clock=lambda: NOW)
    with WAYS["blocking"](fake) as way:
        way.run(tour(way.send))
        for path in ("/videos/none", "/nothing"):
            assert way.ask("GET", path).status == 404
    return fake


def test_everything_fits(judged):
    assert not judged.deviations
    assert {where.rpartition(" ")[0] for where in judged.judged} >= {route.name for route in ROUTES}


def test_every_operation_of_the_schema_is_served():
    declared = {
        f"{method.upper()} {path}"
        for path, operations in specification()["paths"].items()
        for method in operations
        if method in {"get", "post", "delete"}
    }
    assert declared <= {route.name for route in ROUTES}


class Drifted(JudgedUpstream):
    """Answers that are wrong in small ways."""

    def annotate(self, kind, value):
        match kind:
            case "video":
                return {**value, "seconds": int(value["seconds"])}
            case "character":
                return {key: item for key, item in value.items() if key != "created_at"}
            case _:
                return {**value, "object": "thing"}

    def annotate_events(self, kind, events):
        return [
            {key: item for key, item in event.items() if key != "sequence_number"} for event in events[:3]
        ] + events[3:]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/videos", {"prompt": "a"}),
        ("/responses", {"model": "m", "input": "a"}),
        ("/responses", {"model": "m", "input": "a", "stream": True}),
        ("/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "a"}]}),
    ],
)
def test_the_judge_sees_what_does_not_fit(path, body):
    fake = Drifted(clock=lambda: NOW)
    with WAYS["blocking"](fake) as way:
        assert way.ask("POST", path, body).status == 200
    assert fake.deviations


def test_the_judge_sees_requests_that_do_not_fit():
    fake = JudgedUpstream(extra_fields={"size"})
    with WAYS["blocking"](fake) as way:
        way.ask("POST", "/videos", {"prompt": "a", "seconds": "7"})
    assert ["request" in deviation for deviation in fake.deviations] == [True]


def test_what_is_loosened_is_loosened():
    message = {"role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    schema = {"$ref": "#/components/schemas/CreateResponse"}
    assert not schema_errors(schema, {"model": "m", "input": [message]})
    assert not schema_errors(schema, {"model": "m", "tools": [{"type": "function", "name": "f", "parameters": {}}]})
    assert schema_errors(schema, {"model": "m", "input": 7})
    assert FakeUpstream().keys
