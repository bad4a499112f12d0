"""`respond`, `response`, `chat` and `realtime`: what they print where, and how they end."""

import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from core.tests.offers import OFFER

from callsheet.cli import output

Run = Callable[..., Result]
CTRL_C, CTRL_D = "\x03", "\x04"
PLAIN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def shown(result: Result) -> dict[str, str]:
    """The facts on stdout."""
    return {name: value.strip() for name, value in (line.split("  ", 1) for line in result.stdout.splitlines() if line)}


@pytest.fixture
def offer(run: Run) -> str:
    Path("offer.sdp").write_bytes(OFFER)
    return "offer.sdp"


def test_the_answer_is_alone_on_standard_output(run: Run) -> None:
    for how in ((), ("--stream",), ("--no-stream",)):
        said = run("respond", "Hello", "there", *how)
        assert said.stdout.split() == ["You", "said:", "Hello", "there"]
        assert said.stderr.startswith("Let me think.")
        [id] = re.findall(r"^Go on with: callsheet respond --previous (resp_\S+) PROMPT$", said.stderr, re.MULTILINE)
        next = run("respond", "And now?", "--previous", id, "--quiet", "--instructions", "German")
        assert next.stdout.split() == ["You", "said:", "And", "now?", "(in", "German),", "after:", "Hello", "there"]
        assert next.stderr == ""
    assert run("respond", "Explain:", "-", "-q", input="a\nb\n").stdout.split() == [
        "You",
        "said:",
        "Explain:",
        "a",
        "b",
    ]


def test_items_and_tools_come_from_files(run: Run) -> None:
    Path("items.json").write_text('[{"role": "user", "content": "first"}, {"role": "user", "content": "second"}]')
    Path("tools.json").write_text('[{"type": "function", "name": "add"}]')
    assert "second" in run("respond", "--input", "items.json").stdout
    assert "third" in run("respond", "third", "--input", "items.json").stdout
    calls = run("respond", "x", "--tools", "tools.json")
    assert calls.exit_code == 0
    assert "The model calls add({}); answer with --previous and an --input of" in calls.stderr
    assert '[{"type": "function_call_output", "call_id": "c1", "output": "..."}]' in calls.stderr
    assert json.loads(run("respond", "x", "--tools", "tools.json", "--json").stdout)["output"][0]["name"] == "add"


def test_a_response_in_the_background_is_followed_looked_at_and_deleted(run: Run) -> None:
    begun = run("respond", "Hello", "--background")
    assert shown(begun)["status"] == "queued"
    id = shown(begun)["id"]
    assert f"Next: callsheet response get {id} --stream" in begun.stderr
    assert run("response", "get", id, "--stream").stdout.split() == ["You", "said:", "Hello"]
    looked = run("response", "get", id)
    facts, _, words = looked.stdout.partition("\n\n")
    assert "tokens    3 in, 5 out" in facts.replace("tokens   3", "tokens    3")
    assert words == "You said: Hello\n"
    assert run("response", "get", id, "--quiet").output == "You said: Hello\n"
    assert json.loads(run("response", "get", id, "--json").stdout)["id"] == id
    page = run("response", "items", id, "--limit", "2")
    assert [line.split()[0] for line in page.stdout.splitlines()] == ["ID", "i0", "i1"]
    more = page.stderr.removeprefix("More: callsheet ").split()
    assert run(*more, "--quiet").stdout == "i2\n"
    assert shown(run("response", "cancel", id))["status"] == "cancelled"
    assert run("response", "delete", id).stdout == f"deleted {id}\n"
    assert run("response", "get", id).exit_code == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["respond"], 2, "say what to ask: PROMPT, - for standard input, or --input FILE.json"),
        (["respond", "x", "--json", "--stream"], 2, "does not go with --stream"),
        (["respond", "x", "--input", "none.json"], 2, "none.json"),
        (["respond", "x", "--input", "clip.mp4"], 2, "clip.mp4 is not JSON"),
        (["respond", "x", "--tools", "object.json"], 2, "object.json: a list [...] is wanted, not dict"),
        (["respond", "fail"], 1, "the response failed: it rained (sad)"),
        (["respond", "fail", "--no-stream"], 1, "the response failed: it rained (sad)"),
        (["respond", "x", "--max-output-tokens", "1"], 1, "the answer is incomplete: max_output_tokens"),
        (["respond", "a wrong word"], 1, "error: out of breath"),
        (["respond", "a torn word"], 6, "the stream ended before the response did"),
        (["respond", "x", "--previous", "resp_x"], 3, "there is no response 'resp_x'"),
        (["respond", "x", "--provider", "bare"], 4, "'bare' does not implement responses"),
        (["chat"], 2, "there is nothing to say"),
        (["chat", "too much"], 6, "slow down"),
        (["chat", "torn"], 1, "out of breath"),
        (["realtime", "mint", "--expires-after", "5"], 2, "10<=x<=7200"),
        (["realtime", "mint", "--session", "{bad"], 2, "the document is not JSON"),
        (["realtime", "call", "none.sdp"], 2, "none.sdp"),
        (["realtime", "call", "clip.mp4"], 2, "sdp"),
        (["realtime", "call", "offer.sdp", "--answer", "clip.mp4"], 2, "--force overwrites it"),
        (["realtime", "call", "offer.sdp", "--secret-file", "bad.txt"], 5, "the key is not mine"),
        (["realtime", "call", "offer.sdp", "--secret-file", "bad.txt", "--session", "{}"], 2, "leave --session out"),
        (["realtime", "hangup", "rtc_x"], 3, "there is no call 'rtc_x'"),
    ],
)
@pytest.mark.usefixtures("offer")
def test_failures(run: Run, words: list[str], code: int, said: str) -> None:
    Path("object.json").write_text("{}")
    Path("bad.txt").write_text("ek_other\n")
    failed = run(*words)
    assert failed.exit_code == code, failed.output
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr
    assert len([line for line in failed.stderr.splitlines() if line.lower().startswith("error: ")]) == 1


def test_a_failed_response_is_still_one_document(run: Run) -> None:
    failed = run("respond", "fail", "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["status"] == "failed"
    broken = run("respond", "x", "--previous", "resp_x", "--json")
    assert json.loads(broken.stdout)["error"]["type"] == "NotFoundError"


def test_chat_answers_one_message(run: Run) -> None:
    assert run("chat", "Hello", "you").stdout.split() == ["user", "said", "Hello", "you", "as", "number", "1"]
    assert run("chat", "Hello", "--system", "brief").stdout.split() == ["system", "said", "Hello", "as", "number", "2"]
    assert run("chat", input="from a pipe\n").stdout.split() == [
        "user",
        "said",
        "from",
        "a",
        "pipe",
        "as",
        "number",
        "1",
    ]
    document = json.loads(run("chat", "Hello", "--json").stdout)
    assert document["choices"][0]["message"]["content"] == "user said Hello as number 1"


def test_a_conversation_on_a_terminal(site: Any) -> None:
    code, seen = site.on_terminal(
        "chat",
        typed=(
            ("> ", "first\n"),
            ("number 1", ""),
            ("> ", "too much\n"),
            ("slow down", ""),
            ("> ", "second\n"),
            ("number 3", ""),
            ("> ", "/quit\n"),
        ),
    )
    seen = PLAIN.sub("", seen)
    assert code == 0, seen
    assert "user said first as number 1" in seen
    assert "error: slow down" in seen  # and the turn is forgotten
    assert "user said second as number 3" in seen


def test_ctrl_c_interrupts_the_answer_and_ctrl_d_ends(site: Any) -> None:
    code, seen = site.on_terminal(
        "chat",
        "--system",
        "brief",
        typed=(
            ("> ", "first\n"),
            ("system said", CTRL_C),
            ("interrupted", ""),
            ("> ", CTRL_C),
            ("/quit or Ctrl-D ends.", "next\n"),
            ("system said next as", CTRL_C),
            ("interrupted", ""),
            ("> ", CTRL_D),
        ),
        ACME_TALK="0.3",
    )
    assert code == 0, seen
    assert "first as number 2" not in seen
    assert "Traceback" not in seen


def test_a_terminal_is_not_steered_by_a_model_and_commentary_is_dim(site: Any) -> None:
    code, seen = site.on_terminal("respond", "a\x1b[2Jb")
    assert code == 0
    assert "You said: a[2Jb" in seen
    assert re.search(r"\x1b\[2mLet", seen)
    plain = site.run("respond", "a")
    assert "\x1b" not in plain.stdout + plain.stderr


def test_ctrl_c_closes_the_stream_and_says_how_to_look_at_it(site: Any) -> None:
    process = site.start("respond", "a b c d e f g h", ACME_TALK="0.5")
    assert process.stderr.readline() == "Let me think. \n"
    assert process.stdout.read(4) == "You "
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    [look] = re.findall(r"^Look at what there is with: callsheet (response get resp_\S+)$", err, re.MULTILINE)
    assert "Traceback" not in err
    assert site.run(*look.split()).returncode == 0


def test_a_secret_is_told_once(run: Run) -> None:
    made = run("realtime", "mint", "--voice", "marin", "--expires-after", "60", "--model", "acme/x")
    facts = shown(made)
    assert facts["secret"] == "ek_acme"
    assert re.fullmatch(r"20\S+ \S+ \(in (59|60) s\)", facts["expires"])
    assert (facts["model"], facts["session"]) == ("x", "sess_1")
    assert "Next: CALLSHEET_EPHEMERAL_KEY=... callsheet realtime call OFFER.sdp" in made.stderr
    assert run("realtime", "mint", "--quiet").output == "ek_acme\n"
    Path("s.json").write_text('{"audio": {"output": {"speed": 1}}}')
    session = json.loads(
        run("realtime", "mint", "--session", "s.json", "--voice", "v", "--instructions", "i", "--json").stdout
    )["session"]
    assert session["audio"] == {"output": {"speed": 1, "voice": "v"}}
    assert (session["type"], session["instructions"]) == ("realtime", "i")


@pytest.mark.parametrize(
    ("session", "words"),
    [
        ('{"audio": 5}', "audio must be an object, not int"),
        ('{"audio": {"output": []}}', "output must be an object, not list"),
        ('{"type": "transcription"}', "'transcription' does not speak"),
    ],
)
def test_a_voice_needs_a_place_in_the_session(run: Run, session: str, words: str) -> None:
    done = run("realtime", "mint", "--session", session, "--voice", "x")
    assert done.exit_code == 2
    assert words in done.stderr


def test_a_call_that_goes_on_without_the_command(run: Run, offer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run("realtime", "call", offer, "--no-hold", "--session", '{"type": "realtime"}')
    assert b"\r\ns=call" in made.stdout_bytes
    assert made.stdout_bytes.endswith(b"\r\n")
    [id] = re.findall(r"^call: (rtc_\S+)$", made.stderr, re.MULTILINE)
    assert "The call was answered inside this command and has ended with it; --hold keeps it." in made.stderr
    assert run("realtime", "hangup", id).stdout == f"hung up {id}\n"
    assert run("realtime", "hangup", id).exit_code == 3
    kept = run("realtime", "call", "-", "--no-hold", "--answer", "a.sdp", input=OFFER)
    assert shown(kept)["answer"] == "a.sdp"
    assert Path("a.sdp").read_bytes().startswith(b"v=0\r\n")
    assert json.loads(run("realtime", "call", offer, "--no-hold", "--json").stdout)["sdp"].endswith("\r\n")
    monkeypatch.setenv("CALLSHEET_EPHEMERAL_KEY", "ek_other")
    assert run("realtime", "call", offer, "--no-hold").exit_code == 5


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_call_that_is_answered_inside_the_command_lasts_until_ctrl_c(site: Any, ending: signal.Signals) -> None:
    (site.work / "offer.sdp").write_bytes(OFFER)
    process = site.start("realtime", "call", "offer.sdp", "--answer", "a.sdp")
    assert "until Ctrl-C" in process.stderr.readline()
    assert len(list((site.work / "state").iterdir())) == 1
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(ending)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "hung up\n")
    assert "call      rtc_" in out
    assert not list((site.work / "state").iterdir())


def test_what_is_printed_never_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.facts({"prompt": "a\x1b[2Jb"})
    output.lines(["text"], [["a\x1b[2Jb"]])
    output.say("a\x07b")
    shown = capsys.readouterr()
    assert shown.out == "prompt  a[2Jb\nTEXT\na[2Jb\n"
    assert shown.err == "ab\n"


def test_the_next_command_goes_to_the_same_provider(run: Run) -> None:
    """Where only the model said who it is: an address, settings and an ephemeral key are that provider's."""
    address = ("--model", "acme/m", "--base-url", "http://127.0.0.1:9")
    made = run("video", "generate", "A fox", *address, "--no-wait")
    [line] = re.findall(r"^Next: callsheet (.*)$", made.stderr, re.MULTILINE)
    assert "--provider acme --base-url http://127.0.0.1:9" in line
    assert run("video", "generate", "A fox", "--model", "acme/m", "--no-wait").stderr.count("--provider") == 0
    minted = run("realtime", "mint", "--model", "acme/m")
    assert "realtime call OFFER.sdp --provider acme" in minted.stderr
    assert "--provider" not in run("realtime", "mint").stderr
