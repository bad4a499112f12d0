"""The realtime tester by clicks and keys, in a real browser, against a real server."""

import re
import statistics
import sys

import pytest
from gateway.tests.browser.chromium import HERTZ, run, watched

STEPS = ["token", "offer", "answer", "open", "audio"]
LEFT = "(log => log.scrollHeight - log.scrollTop - log.clientHeight)(document.getElementById('log'))"
"""Pixels of the log below what is seen of it."""
HEARD = "conversation.item.input_audio_transcription.completed"


@pytest.fixture
def page(browser, gateway):
    with watched(browser, gateway.page) as opened:
        yield opened


def expect(locator):
    from playwright.sync_api import expect as wait_for

    return wait_for(locator)


def connect(page):
    expect(page.locator("#model")).to_have_value("local/realtime-1")
    page.click("#go")
    connected(page)


def connected(page):
    expect(page.locator("#status")).to_have_text("Connected to local/realtime-1")


def hang_up(page):
    with page.expect_response("**/hangup") as answer:
        page.click("#hang-up")
    expect(page.locator("#status")).to_contain_text("Hung up")
    return answer.value


def events(page, type):
    return page.locator(f'#log li[data-type="{type}"]')


def times(page):
    return [float(row.get_attribute("data-ms")) for row in page.locator("#timeline li").all()]


def test_a_call_by_clicks(page, gateway):
    connect(page)
    expect(page.locator("#timeline li.done")).to_have_count(len(STEPS))
    assert [row.get_attribute("data-step") for row in page.locator("#timeline li").all()] == STEPS
    assert times(page) == sorted(times(page))
    # The server has heard what the microphone heard, and so has the page's own meter.
    expect(events(page, HEARD).first).to_be_attached()
    heard = re.search(r"a tone of ([\d.]+) Hz", events(page, HEARD).first.inner_text())
    assert float(heard[1]) == pytest.approx(HERTZ, rel=0.02)
    expect(page.locator("#microphone-hz")).to_have_text(re.compile(r"^4[34]\d Hz$"))
    call = page.inner_text("#call-id")
    assert call.startswith("rtc_")
    assert hang_up(page).status == 200
    with gateway.http() as http:
        assert http.post(f"/realtime/calls/{call}/hangup").status_code == 404
    expect(page.locator("#microphone-db")).to_have_text("off")
    expect(page.locator("#incoming-db")).to_have_text("off")
    connect(page)  # and once more, in the same page
    hang_up(page)


@pytest.mark.parametrize(("voice", "hertz"), [("alloy", 220), ("cedar", 880)])
def test_the_page_measures_the_voice_that_was_asked_for(page, voice, hertz):
    page.select_option("#voice", voice)
    page.locator("label", has_text="Send my microphone").click()
    expect(page.locator("#use-microphone")).not_to_be_checked()
    connect(page)
    page.fill("#say-text", "Tell me at some length what 6 times 7 is.")
    page.press("#say-text", "Enter")
    expect(page.locator("#say-text")).to_have_value("")
    expect(events(page, "output_audio_buffer.stopped").first).to_be_attached()
    expect(page.locator("#timeline li.done")).to_have_count(len(STEPS))
    expect(page.locator("#microphone-db")).to_have_text("off")
    measured = re.fullmatch(r"(\d+) Hz", page.inner_text("#incoming-hz"))
    assert float(measured[1]) == pytest.approx(hertz, rel=0.03)
    page.click("#mute")
    expect(page.locator("#mute")).to_have_text("Unmute")
    hang_up(page)


def test_events_are_sent_shown_and_sifted(page):
    page.locator("label", has_text="Send my microphone").click()
    expect(page.locator("#send-go")).to_be_disabled()
    connect(page)
    page.click("text=session.update")
    page.click("#send-go")
    expect(page.locator("#event-says")).to_have_text("Sent session.update.")
    expect(events(page, "session.updated")).to_have_count(1)
    events(page, "session.updated").locator("summary").click()
    expect(events(page, "session.updated").locator("pre")).to_contain_text('"Answer in one short sentence."')
    page.click("text=say something")
    page.press("#event", "Control+Enter")
    expect(events(page, "response.done").first).to_be_attached()
    for wrong, says in [("{", "not JSON"), ("[]", "with a type"), ('{"type": 1}', "with a type"), (" ", "preset")]:
        page.fill("#event", wrong)
        expect(page.locator("#event-says")).to_contain_text(says)
        sent = page.locator("#log li.out").count()
        page.click("#send-go")
        assert page.locator("#log li.out").count() == sent
    page.fill("#event", '{"type": "no.such.event"}')
    page.click("#send-go")
    expect(events(page, "error")).to_have_class(re.compile("bad"))
    page.fill("#filter", "SESSION.UPDATED")
    expect(page.locator("#log li:visible")).to_have_count(1)
    expect(page.locator("#log-count")).to_have_text(re.compile(r"^1 of \d+"))
    page.fill("#filter", "nothing has this")
    expect(page.locator("#log-empty")).to_have_text("No event has this text.")
    page.fill("#filter", "")
    page.click("#clear")
    expect(page.locator("#log li")).to_have_count(0)
    hang_up(page)


def test_the_log_is_capped_and_leaves_the_reader_alone(page):
    page.locator("label", has_text="Send my microphone").click()
    connect(page)
    burst = ", ".join(['{"type": "input_audio_buffer.clear"}'] * 120)
    page.fill("#event", f"[{burst}]")
    page.click("#send-go")
    expect(page.locator("#log li.in")).to_have_count(121)
    assert run(page, f"return {LEFT}") < 5
    run(page, "document.getElementById('log').scrollTop = 100")
    page.wait_for_timeout(100)
    page.click("#send-go")
    expect(page.locator("#newer")).to_be_visible()
    expect(page.locator("#log li.in")).to_have_count(241)
    assert run(page, "return document.getElementById('log').scrollTop") == 100
    page.click("#newer")
    assert run(page, f"return {LEFT}") < 5
    page.click("#send-go")
    expect(page.locator("#log-count")).to_have_text("500 (the last)")
    hang_up(page)


def test_by_keys_alone(page):
    expect(page.locator("#model")).to_have_value("local/realtime-1")

    def tab_to(id):
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.locator(f"#{id}:focus-visible").count():
                return
        raise AssertionError(f"#{id} is out of reach")

    tab_to("model")
    tab_to("use-microphone")
    page.keyboard.press("Space")
    tab_to("go")
    page.keyboard.press("Enter")
    connected(page)
    tab_to("say-text")
    page.keyboard.type("Hello")
    page.keyboard.press("Enter")
    expect(events(page, "response.done").first).to_be_attached()
    for id in ("mute", "filter", "clear", "log", "event", "send-go", "tab-javascript"):
        page.locator("#model").focus()
        tab_to(id)
    page.locator("#log").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("#log pre")).to_have_count(1)
    place = run(page, "return document.getElementById('log').scrollTop")
    run(
        page,
        """const field = document.getElementById("say-text");
        field.value = "Hello again";
        field.form.requestSubmit()""",
    )  # as if the other side spoke: the focus stays in the log
    expect(page.locator("#newer")).to_be_visible()
    assert run(page, "return document.getElementById('log').scrollTop") == place
    page.locator("#tab-javascript").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-curl")).to_be_focused()
    expect(page.locator("#code")).to_contain_text("curl http://127.0.0.1:")
    page.locator("#go").focus()
    tab_to("hang-up")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Hung up")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_it_fits(browser, gateway, tmp_path, scheme, width, height):
    size = {"width": width, "height": height}
    with watched(browser, gateway.page, color_scheme=scheme, viewport=size, reduced_motion="reduce") as page:
        connect(page)
        page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
        boxes = [page.locator(part).bounding_box() for part in ("#connect", "#timeline", "#log", "#event", "#code")]
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
        hang_up(page)


def test_from_click_to_open(page, capsys, record_property):
    """The issue's bar is 500 ms. Other work on the machine slows it down: what is asserted is twice that."""
    opened = []
    connect(page)  # the first call loads what the later ones find loaded
    hang_up(page)
    for _ in range(7):
        connect(page)
        opened.append(times_to(page, "open"))
        hang_up(page)
    median = statistics.median(opened)
    record_property("click_to_open_ms", median)
    with capsys.disabled():  # on stderr, which also comes through from a worker
        print(f"\nclick to open: median {median:.0f} ms of {[round(one) for one in opened]}", file=sys.stderr)
    assert median < 1000


def times_to(page, step):
    return float(page.locator(f'#timeline li[data-step="{step}"]').get_attribute("data-ms"))


def test_leaving_the_page_hangs_up(page, gateway):
    connect(page)
    call = page.inner_text("#call-id")
    page.goto("about:blank")
    page.wait_for_timeout(1000)  # the driver does not see requests that outlive their page
    with gateway.http() as http:
        assert http.post(f"/realtime/calls/{call}/hangup").status_code == 404
