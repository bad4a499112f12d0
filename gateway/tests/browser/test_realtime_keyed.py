"""The tester at a gateway that asks for a key: the page asks for it, and keeps it for as long as its tab is open."""

import pytest
from gateway.tests.browser.chromium import watched
from gateway.tests.serving import serving

KEY = "sk-cs-of-the-browser-0123456789"


def expect(locator):
    from playwright.sync_api import expect as wait_for

    return wait_for(locator)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("keyed") / "data", CALLSHEET_MASTER_KEY=KEY) as running:
        yield running


def test_a_call_with_a_key(browser, keyed):
    with watched(browser, keyed.page, allowed=("401",)) as page:
        expect(page.locator("#problem-do")).to_contain_text("Enter the gateway's master key")
        expect(page.locator("#key")).to_have_attribute("type", "password")
        page.fill("#key", "sk-wrong")
        page.press("#key", "Tab")
        expect(page.locator("#problem-what")).to_contain_text("401: the key is wrong")
        page.fill("#key", KEY)
        page.press("#key", "Tab")
        expect(page.locator("#problem")).to_be_hidden()
        expect(page.locator("#model")).not_to_have_value("")
        page.click("#go")
        expect(page.locator("#status")).to_contain_text("Connected")
        assert KEY not in page.content()
        assert "YOUR_KEY" in page.content()
        with page.expect_response("**/hangup") as hung_up:
            page.click("#hang-up")
        assert hung_up.value.status == 200
        page.reload()
        expect(page.locator("#model")).not_to_have_value("")
        expect(page.locator("#key")).to_have_value(KEY)
