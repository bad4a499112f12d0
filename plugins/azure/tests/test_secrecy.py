"""Where keys and tokens must not be read."""

from __future__ import annotations

import functools
import logging
import traceback

import pytest
from core.tests.conftest import Mode
from plugins.azure.tests.conftest import azure_client, jwt
from plugins.azure.tests.test_auth import HELLO, ask

from callsheet import AuthenticationError
from callsheet.testing import Fault
from callsheet_azure.wire import KEY, AzureWire


async def test_a_token_is_nowhere_to_be_read(
    mode: Mode, fake: AzureWire, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    token = jwt(name="canary")
    parts = [token, token.split(".")[1], "signature-canary"]
    client = azure_client(mode, fake, KEY, token_provider=functools.partial(str, token))  # whose repr shows it
    fake.management = True  # it quotes nothing; the key's beginning is what the fake itself quotes
    texts = [repr(client)]
    with pytest.raises(AuthenticationError) as caught:
        await ask(client)
    fake.admit(token)
    answer = await client.chat_completions(model="gpt", messages=HELLO)
    error = caught.value
    texts += [
        "".join(traceback.format_exception(error)),
        repr(error),
        repr(vars(error)),
        repr(answer),
        repr(answer.meta),
    ]
    trace = error.__traceback__
    while trace is not None:  # what a debugger's page shows
        texts += [repr(value) for name, value in trace.tb_frame.f_locals.items() if name not in {"token", "parts"}]
        trace = trace.tb_next
    inner = client.inner if mode.blocking else client
    for dispatcher in inner.accounts._dispatchers.values():
        provider = dispatcher.provider
        texts += [repr(provider._entra), repr(provider.settings), repr(dispatcher)]
    texts += [caplog.text, *capfd.readouterr()]
    assert not [part for part in [*parts, KEY] for text in texts if part in text]


async def test_a_token_that_the_upstream_quotes_is_not_in_the_error(mode: Mode, fake: AzureWire) -> None:
    token = fake.admit(jwt())
    fake.fail(None, Fault.status(403, message=f"The token {token} may not do this."))
    with pytest.raises(Exception, match=r"The token \[secret\] may not") as caught:
        await ask(azure_client(mode, fake, None, token_provider=lambda: token))
    assert token not in f"{caught.value!r} {vars(caught.value)}"
