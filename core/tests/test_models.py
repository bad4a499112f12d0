"""The models: what is accepted, what goes over the wire, what survives."""

import json
from pathlib import Path

import pytest
from core.tests.offers import ANSWER, OFFER
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from callsheet import APIResponseValidationError
from callsheet import models as m
from callsheet.body import Upload
from callsheet.models.base import PATHS_ARE_FILES

VIDEO = {"id": "video_1", "object": "video", "status": "queued", "prompt": None, "quality": "standard"}


@pytest.mark.parametrize(("given_", "wire"), [(8, "8"), ("8", "8"), ("08", "8"), (120, "120")])
def test_seconds_are_digits_on_the_wire(given_, wire):
    assert m.GenerateVideo(prompt="a", seconds=given_).wire()["seconds"] == wire


@pytest.mark.parametrize("wrong", ["abc", "-4", "0", 0, -4, "", "4.5", 4.5, True, " 8", "8s", "٨", "1" * 40, [8]])
def test_wrong_seconds_are_refused(wrong):
    with pytest.raises(ValidationError, match="whole seconds are wanted"):
        m.GenerateVideo(prompt="a", seconds=wrong)


@pytest.mark.parametrize("wrong", ["big", "1280", "1280X720", "0x720", "1280x720x3", 720, "-1x5", "1280x720 "])
def test_wrong_sizes_are_refused(wrong):
    with pytest.raises(ValidationError, match="WIDTHxHEIGHT"):
        m.GenerateVideo(prompt="a", size=wrong)


@pytest.mark.parametrize(("prompt", "words"), [("", "empty"), ("  \n", "empty"), ("x" * 33_000, "33,000"), (3, "text")])
def test_wrong_prompts_are_refused(prompt, words):
    for kind in (m.GenerateVideo, lambda **f: m.Edit(video="v", **f), lambda **f: m.Extend(video="v", **f)):
        with pytest.raises(ValidationError, match=words):
            kind(prompt=prompt)


@pytest.mark.parametrize("characters", [["a", "b"], ("a", "b"), [{"id": "a"}, {"id": "b"}], [{"id": "a"}, "b"]])
def test_characters_by_id_or_reference(characters):
    assert m.GenerateVideo(prompt="x", characters=characters).wire()["characters"] == [{"id": "a"}, {"id": "b"}]


def test_input_reference_forms(tmp_path):
    image = tmp_path / "frame.png"
    image.write_bytes(b"png")
    assert isinstance(m.GenerateVideo(prompt="x", input_reference=image).input_reference, Upload)
    by_clients = m.GenerateVideo.model_validate({"prompt": "x", "input_reference": str(image)}, context=PATHS_ARE_FILES)
    assert isinstance(by_clients.input_reference, Upload)
    assert isinstance(m.GenerateVideo(prompt="x", input_reference=b"png").input_reference, Upload)
    for url in ("https://example.com/a.png", "data:image/png;base64,AAAA"):
        assert m.GenerateVideo(prompt="x", input_reference=url).wire()["input_reference"] == {"image_url": url}
    assert m.GenerateVideo(prompt="x", input_reference={"file_id": "f"}).wire()["input_reference"] == {"file_id": "f"}
    for wrong in ({}, {"image_url": "u", "file_id": "f"}):
        with pytest.raises(ValidationError, match="exactly one of image_url and file_id"):
            m.GenerateVideo(prompt="x", input_reference=wrong)


def test_the_video_to_edit_is_an_id_a_video_or_a_file(tmp_path):
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"x")
    for source in ("video_1", {"id": "video_1"}, m.VideoRef(id="video_1"), m.Video.model_validate(VIDEO)):
        assert m.Edit(video=source, prompt="p").wire() == {"video": {"id": "video_1"}, "prompt": "p"}
    for source in (clip, b"x", clip.open("rb")):
        edit = m.Edit(video=source, prompt="p")
        assert isinstance(edit.video, Upload)
        assert edit.video.content_type == (
            "video/mp4" if edit.video.filename == "a.mp4" else "application/octet-stream"
        )
        if not isinstance(source, bytes | Path):
            source.close()


def test_absent_is_not_null_and_unknown_fields_survive():
    request = m.GenerateVideo.model_validate(
        {"prompt": "a", "seconds": None, "negative_prompt": "b", "deep": {"z": 1, "a": [2]}}
    )
    assert request.wire() == {"prompt": "a", "seconds": None, "negative_prompt": "b", "deep": {"z": 1, "a": [2]}}
    video = m.Video.model_validate(VIDEO)
    assert video.wire() == VIDEO


def test_video_reads_what_providers_really_send():
    azure = {"id": "video_2", "status": "completed", "seconds": 4, "error": None}
    video = m.Video.model_validate(azure)
    assert (video.seconds, video.finished, video.prompt) == ("4", True, None)
    failed = m.Video.model_validate(
        {**azure, "status": "failed", "error": {"code": "moderation_blocked", "message": "no"}}
    )
    assert failed.error is not None
    assert failed.error.code == "moderation_blocked"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, max_size=6))
def test_a_response_is_kept_as_it_came(document):
    raw = json.loads(json.dumps(document))
    assert m.Response(raw).wire() == raw
    assert list(m.Response(raw).wire()) == list(document)


@pytest.mark.parametrize("wrong", [[], None, "x", 3])
def test_a_document_is_an_object(wrong):
    with pytest.raises(APIResponseValidationError, match="a JSON object is wanted"):
        m.Response(wrong)


def test_reads_of_a_response():
    raw = {
        "id": "resp_1",
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "phase": "commentary", "content": [{"type": "output_text", "text": "Hm. "}]},
            {"type": "message", "phase": "final_answer", "content": [{"type": "output_text", "text": "Paris."}]},
        ],
    }
    response = m.Response(raw)
    assert response.output_text == "Hm. Paris."
    assert response["output"] is raw["output"]
    assert m.Response({}).output == []
    chat = m.ChatCompletion({"choices": [{"message": {"content": "Hi"}}]})
    assert (chat.text, m.ChatCompletion({"choices": []}).text) == ("Hi", None)


@pytest.mark.parametrize("where", ["secret.txt", ["a.mp4", "secret.txt"], ["secret.txt"]])
def test_what_strangers_send_never_reads_our_files(tmp_path, monkeypatch, where):
    """A gateway validates bodies with these models: a str in one is a text and no path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.txt").write_text("secret")
    for kind, fields in (
        (m.GenerateVideo, {"prompt": "x", "input_reference": where}),
        (m.CreateCharacter, {"name": "Luna", "video": where}),
        (m.Edit, {"prompt": "x", "video": where}),
    ):
        try:
            assert not kind.model_validate(fields).uploads()  # Edit takes a str for an id
        except ValidationError as error:
            assert "a file is wanted" in str(error)  # noqa: PT017


def test_an_odd_optional_field_does_not_lose_a_paid_job():
    odd = {
        "progress": 12.5,
        "created_at": 1.7e9,
        "error": "boom",
        "object": "video.generation",
        "prompt": [1],
        "size": 3,
    }
    video = m.Video.model_validate({"id": "video_PAID", "status": "failed", "warnings": [{"a": 1}], **odd})
    assert (video.id, video.progress, video.created_at, video.error.message) == (
        "video_PAID",
        12,
        1_700_000_000,
        "boom",
    )
    assert (video.prompt, video.size, video.warnings) == (None, None, None)
    nulls = m.Video.model_validate({"id": "v", "status": "failed", "error": {"code": None, "message": None}})
    assert nulls.error.code is None
    with pytest.raises(ValidationError):
        m.Video.model_validate({"id": None, "status": "queued"})


def test_constant_fields_are_always_on_the_wire():
    assert m.Video(id="v", status="queued").wire() == {"id": "v", "object": "video", "status": "queued"}
    assert m.DeletedVideo(id="v").wire() == {"id": "v", "object": "video.deleted", "deleted": True}
    assert m.VideoList(data=[]).wire() == {"object": "list", "data": [], "has_more": False}
    assert m.MintRealtimeSecret(expires_after=60).wire() == {"expires_after": {"anchor": "created_at", "seconds": 60}}


def test_results_stand_for_their_ids():
    luna = m.Character(id="char_1")
    for characters in (luna, [luna], (c for c in [luna]), {"char_1"}):
        assert m.GenerateVideo(prompt="x", characters=characters).wire()["characters"] == [{"id": "char_1"}]
    video = m.Video.model_validate(VIDEO)
    assert m.GetVideo(video_id=video).video_id == "video_1"
    assert m.GetCharacter(character_id=luna).character_id == "char_1"


def test_secrets_are_not_shown():
    secret = m.RealtimeSecret(value="ek_123456789", expires_at=1)
    call = m.RelaySDP(sdp=OFFER.decode(), ephemeral_key="ek_123456789")
    assert "ek_123" not in repr(secret) + str(secret) + repr(call)
    assert call.sdp == OFFER


@pytest.mark.parametrize(
    ("given_", "seconds"), [(60, 60), ({"anchor": "created_at", "seconds": 60}, 60), ({"seconds": 10}, 10)]
)
def test_expires_after(given_, seconds):
    secret = m.MintRealtimeSecret(expires_after=given_)
    assert secret.expires_after is not None
    assert secret.expires_after.seconds == seconds


@pytest.mark.parametrize("wrong", [9, 7201, {"seconds": 5}, True])
def test_wrong_expiry_is_refused(wrong):
    with pytest.raises(ValidationError):
        m.MintRealtimeSecret(expires_after=wrong)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_offer_are_refused_in_words(content):
    with pytest.raises(ValidationError, match="SDP"):
        m.RelaySDP(sdp=content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda sdp: b"", "first line must be v=0"),
        (lambda sdp: b"\r\n" + sdp, "first line must be v=0"),
        (lambda sdp: sdp + b"a=x:" + b"y" * 70_000, "at most 65,536"),
        (lambda sdp: sdp + b"a=x\r\n" * 1000, "more than 1000 lines"),
        (lambda sdp: sdp + b"a=x:" + b"y" * 5000, "more than 4096 bytes"),
        (lambda sdp: sdp + b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 8, "9 media sections"),
        (lambda sdp: sdp.replace(b"m=", b"x="), "0 media sections"),
        (lambda sdp: sdp + b"a=crypto:1 AES_CM_128 inline:secret\r\n", "keys in the open"),
        (lambda sdp: sdp.replace(b"a=fingerprint", b"a=x"), "no fingerprint"),
        (lambda sdp: sdp.replace(b"a=ice-pwd", b"a=x"), "no ice-pwd"),
        (lambda sdp: sdp + b"a=x:\xff\r\n", "not text in UTF-8"),
    ],
)
def test_what_an_offer_must_be_and_an_answer_too(change, words):
    with pytest.raises(ValidationError, match=words):
        m.RelaySDP(sdp=change(OFFER))
    with pytest.raises(ValidationError, match=words):
        m.RealtimeCall(id="rtc_1", sdp=change(ANSWER))
    assert m.RealtimeCall(sdp=ANSWER).sdp == ANSWER


def test_an_offers_bytes_are_not_touched():
    unix = OFFER.replace(b"\r\n", b"\n")
    assert m.RelaySDP(sdp=OFFER).sdp == OFFER
    assert m.RelaySDP(sdp=unix).sdp == unix
