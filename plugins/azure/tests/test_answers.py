"""What Azure's answers say beside the document: ids, limits, when to come back; and errors that miss their envelope."""

from __future__ import annotations

import time
from typing import Any

import pytest
from plugins.azure.tests.conftest import sync_client

from callsheet import (
    APIResponseValidationError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
)
from callsheet.testing import Fault
from callsheet_azure.wire import AzureWire

HELLO = [{"role": "user", "content": "Hello"}]


async def test_ids_and_limits(client: Any, fake: AzureWire) -> None:
    meta = (await client.chat_completions(model="gpt", messages=HELLO)).meta
    assert meta.request_id == f"apim-{0:032x}"
    assert meta.reset_after == {"requests": 10.0, "tokens": 300.0}
    assert meta.limits["x-ratelimit-reset-tokens"] == "300"
    assert (meta.provider, meta.attempts) == ("azure", 1)
    assert meta.account.startswith("acct_")


async def test_it_is_asked_again_when_the_milliseconds_have_passed(client: Any, fake: AzureWire) -> None:
    fake.fail("POST /chat/completions", Fault.status(429, retry_after=0.05))
    begun = time.monotonic()
    answer = await client.chat_completions(model="gpt", messages=HELLO)
    assert 0.05 <= time.monotonic() - begun < 0.9  # not the whole second that retry-after says
    assert answer.meta.attempts == 2


async def test_a_limit_that_lasts_is_told(client: Any, fake: AzureWire) -> None:
    fake.fail("POST /videos", Fault.status(429, retry_after=600, headers={"retry-after-ms": "600500"}))
    with pytest.raises(RateLimitError, match=r"Please retry after 6 seconds\.$") as caught:
        await client.generate_video(model="film-1", prompt="A fox")
    assert (caught.value.code, caught.value.retry_after, len(fake.seen)) == ("429", 600.5, 1)


async def test_errors_of_api_management_have_no_envelope(client: Any, fake: AzureWire) -> None:
    fake.management = True
    for status, kind in ((401, AuthenticationError), (404, NotFoundError), (400, BadRequestError)):
        fake.fail(None, Fault.status(status, message="Said by the gateway.", headers={"x-should-retry": "false"}))
        with pytest.raises(kind, match=r"^Said by the gateway\.$") as caught:
            await client.chat_completions(model="gpt", messages=HELLO)
        assert caught.value.body == {"statusCode": status, "message": "Said by the gateway."}
        assert caught.value.code is None
    fake.fail(None, Fault.status(401, message="Said by the gateway."))
    with pytest.raises(AuthenticationError, match=r"^Said by the gateway\.$"):
        await client.chat_completions(model="gpt", messages=HELLO, stream=True)


async def test_a_deployment_that_is_not_there(client: Any, fake: AzureWire) -> None:
    fake.deployments = {"gpt"}
    for name, fields in (("chat_completions", {"messages": HELLO}), ("responses", {"input": "Hi"})):
        with pytest.raises(NotFoundError, match="within the last 5 minutes") as caught:
            await getattr(client, name)(model="gpt-new", **fields)
        assert (caught.value.code, caught.value.provider) == ("DeploymentNotFound", "azure")


@pytest.mark.parametrize("after_accept", [False, True])
async def test_a_paid_job_is_asked_for_once(after_accept: bool, client: Any, fake: AzureWire) -> None:
    fault = fake.fail("POST /videos", Fault.status(503, after_accept=after_accept))
    with pytest.raises(InternalServerError) as caught:
        await client.generate_video(model="film-1", prompt="A fox")
    assert caught.value.should_retry is False
    assert fault.happened[0].begun == len(fake.book.entries) == int(after_accept)
    assert len(fake.seen) == 1


async def test_a_stream_that_ends_too_soon_is_no_answer(client: Any, fake: AzureWire) -> None:
    fake.fail("POST /chat/completions", Fault.stream_without_end())
    with pytest.raises(APIResponseValidationError, match="ended without its last event"):
        async with await client.chat_completions(model="gpt", messages=HELLO, stream=True) as chunks:
            [chunk async for chunk in chunks]


def test_a_response_in_the_background_is_followed(fake: AzureWire) -> None:
    with sync_client(fake) as client:
        answer = client.responses(model="gpt", input="Hi", background=True)
        assert answer.status == "queued"
        while answer.status in {"queued", "in_progress"}:
            answer = client.get_response(response_id=answer.id)
        assert (answer.status, answer.output_text.endswith(fake.reply)) == ("completed", True)
        again = client.responses(model="gpt", input="And?", previous_response_id=answer.id)
        assert again.id != answer.id
        assert client.delete_response(response_id=answer.id).wire()["deleted"] is True
