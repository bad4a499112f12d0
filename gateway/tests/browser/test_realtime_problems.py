"""What the page says when a call does not come about, and what it leaves behind then: nothing."""

import pytest
from gateway.tests.browser.chromium import chromium, watched


def expect(locator):
    from playwright.sync_api import expect as wait_for

    return wait_for(locator)


@pytest.fixture(scope="module")
def denying():
    """Chromium with a user who allows nothing."""
    with chromium("--deny-permission-prompts") as opened:
        yield opened


def fails(page, what, what_to_do, step):
    expect(page.locator("#model")).not_to_have_value("")
    page.click("#go")
    expect(page.locator("#status")).to_have_text("Failed")
    expect(page.locator("#problem-what")).to_contain_text(what)
    expect(page.locator("#problem-do")).to_contain_text(what_to_do)
    expect(page.locator("#timeline li.failed")).to_have_attribute("data-step", step)
    expect(page.locator("#go")).to_be_enabled()
    expect(page.locator("#hang-up")).to_be_disabled()
    expect(page.locator("#timeline li.running")).to_have_count(0)


def answer_with(page, path, status, document):
    page.route(f"**{path}", lambda route: route.fulfill(status=status, json=document))


def test_a_denied_microphone(denying, gateway):
    with watched(denying, gateway.page) as page:
        expect(page.locator("#model")).not_to_have_value("")
        page.click("#go")
        expect(page.locator("#problem")).to_contain_text("The microphone was denied.")
        expect(page.locator("#problem")).to_contain_text("switch off “Send my microphone”")
        page.locator("label", has_text="Send my microphone").click()
        page.click("#go")
        expect(page.locator("#status")).to_contain_text("Connected")
        expect(page.locator("#problem")).to_be_hidden()
        with page.expect_response("**/hangup"):
            page.click("#hang-up")


def test_a_model_that_there_is_not(denying, gateway):
    with watched(denying, gateway.page, allowed=("404",)) as page:
        expect(page.locator("#model")).not_to_have_value("")
        page.locator("label", has_text="Send my microphone").click()
        page.fill("#model", "local/nothing")
        fails(page, "404: ", "one of the models in the list", "token")


def test_a_key_that_has_expired(denying, gateway):
    envelope = {"error": {"message": "Token expired", "type": "authentication_error", "param": None, "code": "x"}}
    with watched(denying, gateway.page, allowed=("401",)) as page:
        answer_with(page, "/realtime/calls", 401, envelope)
        page.locator("label", has_text="Send my microphone").click()
        fails(page, "401: Token expired", "a fresh key", "answer")


def test_a_gateway_that_has_gone(denying, gateway):
    with watched(denying, gateway.page, allowed=("net::ERR_CONNECTION_REFUSED",)) as page:
        page.locator("label", has_text="Send my microphone").click()
        page.route("**/client_secrets", lambda route: route.abort("connectionrefused"))
        fails(page, "The gateway does not answer.", "callsheet serve", "token")


def test_an_answer_that_leads_nowhere(denying, gateway):
    """The answer's fingerprints are another's: the connection fails, and the page does not wait for ever."""

    def forge(route):
        answer = route.fetch()
        lines = [
            line[:-5] + "00:00" if line.startswith("a=fingerprint:") else line for line in answer.text().splitlines()
        ]
        route.fulfill(response=answer, body="\r\n".join(lines) + "\r\n")

    # The page hangs up in any case; the server may have noticed before, and know no such call any more.
    with watched(denying, gateway.page, allowed=("404",)) as page:
        page.route("**/realtime/calls", forge)
        page.locator("label", has_text="Send my microphone").click()
        fails(page, "No connection to the other side", "UDP", "open")


def test_a_call_that_the_other_side_ends(denying, gateway):
    with watched(denying, gateway.page) as page:
        page.locator("label", has_text="Send my microphone").click()
        expect(page.locator("#model")).not_to_have_value("")
        page.click("#go")
        expect(page.locator("#status")).to_contain_text("Connected")
        with gateway.http() as http:
            assert http.post(f"/realtime/calls/{page.inner_text('#call-id')}/hangup").status_code == 200
        expect(page.locator("#status")).to_contain_text("The other side hung up")
        expect(page.locator("#problem")).to_be_hidden()
        expect(page.locator("#go")).to_be_enabled()


def test_hanging_up_while_it_connects(denying, gateway):
    """The answer comes when nobody wants it any more: that call is ended too."""
    with watched(denying, gateway.page) as page:
        page.locator("label", has_text="Send my microphone").click()
        expect(page.locator("#model")).not_to_have_value("")
        held = []
        page.route("**/realtime/calls", lambda route: held.append(route))
        page.click("#go")
        expect(page.locator('#timeline li[data-step="answer"]')).to_have_class("running")
        page.click("#hang-up")
        expect(page.locator("#status")).to_contain_text("Hung up")
        with page.expect_response("**/hangup") as answer:
            held[0].continue_()
        assert answer.value.status == 200
        expect(page.locator("#timeline li.done")).to_have_count(2)
