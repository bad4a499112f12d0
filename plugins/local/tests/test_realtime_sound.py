"""Sound, in and out: where it begins and ends, its pitch, and what is made of it."""

import base64
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from callsheet_local.realtime.ear import Ear, Ended, Started
from callsheet_local.realtime.pitch import RATE, measure
from callsheet_local.realtime.voice import VOICES, Mouth, Utterance, pitch_of, seconds_of

from .conftest import Hooks
from .peer import Peer, pitch
from .realtime_kit import Bench, call

VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200}


def tone(hz: float, seconds: float, loudness: float = 0.3) -> np.ndarray:
    return (loudness * 32767 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.int16)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.int16)


@pytest.mark.parametrize("hz", [55, 97.3, 220, 440, 441.7, 880, 1234.5, 3000, 8000])
@pytest.mark.parametrize("seconds", [0.1, 0.31, 2.0])
def test_a_tone_is_measured(hz: float, seconds: float) -> None:
    noise = np.random.default_rng(3).normal(0, 100, int(seconds * RATE))
    measured = measure((tone(hz, seconds) + noise).astype(np.int16))
    assert measured.hz == pytest.approx(hz, rel=0.01 if hz > 100 or seconds > 0.2 else 0.03)
    assert measured.seconds == pytest.approx(seconds, abs=0.001)
    assert str(measured) == f"a tone of {measured.hz:.0f} Hz for {seconds:.1f} s"


def test_what_is_no_tone() -> None:
    dice = np.random.default_rng(5)
    noise = (dice.normal(0, 3000, RATE)).clip(-32768, 32767).astype(np.int16)
    assert str(measure(noise)) == "a sound for 1.0 s"
    chord = np.sum([tone(hz, 1, 0.1) for hz in (220, 350, 520, 910)], axis=0).astype(np.int16)
    assert measure(chord).hz is None
    assert str(measure(silence(1.5))) == "silence for 1.5 s"
    assert str(measure(silence(0))) == "silence for 0.0 s"
    assert measure(np.full(RATE, 9000, np.int16)).hz is None  # a constant is no sound


def hear(ear: Ear, *sounds: np.ndarray, piece: int = 700) -> list[Any]:
    everything = np.concatenate(sounds)
    return [one for at in range(0, len(everything), piece) for one in ear.feed(everything[at : at + piece])]


def test_where_sound_begins_and_ends() -> None:
    started, ended = hear(Ear(VAD), silence(1), tone(440, 0.6), silence(0.5))
    assert isinstance(started, Started)
    assert started.ms == pytest.approx(700, abs=20)
    assert isinstance(ended, Ended)
    assert ended.ms == pytest.approx(1800, abs=40)
    assert len(ended.samples) / RATE == pytest.approx(0.6, abs=0.04)


def test_a_beep_is_no_sound_and_a_short_pause_no_end() -> None:
    assert hear(Ear(VAD), *[tone(440, 0.08), silence(0.4)] * 5) == []
    assert len(hear(Ear(VAD), tone(440, 0.5), silence(0.12), tone(440, 0.5), silence(0.4))) == 2
    assert hear(Ear(VAD), tone(440, 1, loudness=0.005)) == []
    assert len(hear(Ear({**VAD, "threshold": 0.05}), tone(440, 0.5, loudness=0.005), silence(0.3))) == 2
    assert len(hear(Ear({"type": "semantic_vad"}), tone(440, 0.5), silence(0.3))) == 2
    assert (
        len(hear(Ear({"type": None, "threshold": "x", "silence_duration_ms": []}), tone(440, 0.5), silence(0.3))) == 2
    )


def test_sound_that_goes_on_is_reported_each_two_seconds() -> None:
    happened = hear(Ear(VAD), tone(440, 5), silence(0.5), tone(440, 0.5), silence(0.5))
    assert [type(one).__name__ for one in happened] == ["Started", "Ended"] * 4
    assert [one.again for one in happened] == [False, False, True, True, True, True, False, False]
    assert [round(len(one.samples) / RATE, 1) for one in happened[1::2]] == [2.0, 2.0, 1.0, 0.5]
    assert len(hear(Ear(VAD), tone(440, 2.04), silence(0.5))) == 2  # no report of the last 40 ms alone


def committed(ear: Ear) -> np.ndarray:
    samples = ear.commit()
    assert samples is not None
    return samples


def test_listening_by_hand() -> None:
    ear = Ear(None)
    assert hear(ear, silence(0.2), tone(440, 0.5)) == []
    assert len(committed(ear)) == pytest.approx(0.7 * RATE, abs=960)
    assert ear.commit() is None
    hear(ear, silence(40))
    assert len(committed(ear)) == 30 * RATE
    automatic = Ear(VAD)
    hear(automatic, tone(440, 0.5))
    assert len(committed(automatic)) == pytest.approx(0.5 * RATE, abs=960)


def test_voices_can_be_told_apart() -> None:
    pitches = sorted(VOICES.values())
    assert len(pitches) == 10
    assert (pitches[0], pitches[-1]) == (220, 880)
    assert all(high / low > 1.1 for low, high in pairwise(pitches))
    assert pitch_of("nobody") == pitch_of({"id": "voice_1"}) == 220


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("speed", [0.25, 1.0, 1.5])
def test_what_is_spoken_has_the_voice_s_pitch(voice: str, speed: float) -> None:
    pieces = ["Hello", " there", ",", " it", " is", " a", " fine", " day"]
    told: list[str] = []
    mouth = Mouth(lambda id: told.append(f"started {id}"), lambda id: told.append(f"stopped {id}"))
    mouth.say(Utterance("r1", pieces, VOICES[voice], speed))
    frames = [mouth.take(960) for _ in range(int(seconds_of(pieces, speed) * 50) + 2)]
    assert told == ["started r1", "stopped r1"]
    sound = np.concatenate(frames)
    assert pitch(sound) == pytest.approx(VOICES[voice], rel=0.02)
    assert measure(sound).hz == pytest.approx(VOICES[voice], rel=0.01)
    assert seconds_of(pieces, 1.0) / len(pieces) == pytest.approx(0.1, abs=0.02)
    assert seconds_of(pieces, speed) == pytest.approx(seconds_of(pieces, 1.0) / speed)
    assert abs(np.diff(sound.astype(int))).max() < 4000  # soft edges: nothing clicks


def test_utterances_wait_for_each_other() -> None:
    told: list[str] = []
    mouth = Mouth(lambda id: told.append(f"+{id}"), lambda id: told.append(f"-{id}"))
    for id in ("a", "a", "b"):
        mouth.say(Utterance(id, ["x"], 440, 1.0))
    for _ in range(20):
        mouth.take(960)
    assert told == ["+a", "-a", "+b", "-b"]
    mouth.say(Utterance("c", ["x"], 440, 1.0))
    mouth.say(Utterance("d", ["x"], 440, 1.0))
    assert mouth.hush() == ["c", "d"]
    assert not mouth.take(960).any()
    assert told[4:] == ["+c"]


@pytest.mark.parametrize("hz", [330, 1000])
def test_a_tone_over_the_wire_is_told_and_answered(hooks: Hooks, hz: int) -> None:
    with call(hooks) as peer:
        peer.wait("session.created")
        peer.whistle(hz, 0.8)
        done = peer.wait("conversation.item.input_audio_transcription.completed")
        words = done["transcript"].split()
        assert words[:3] == ["a", "tone", "of"]
        assert float(words[3]) == pytest.approx(hz, rel=0.01)
        assert float(words[6]) == pytest.approx(0.8, abs=0.11)
        assert done["usage"]["type"] == "duration"
        response = peer.wait("response.done")["response"]
        assert response["output"][0]["content"][0]["transcript"] == f"I heard {done['transcript']}."
        assert response["usage"]["input_token_details"]["audio_tokens"] == pytest.approx(8, abs=1)
        types = peer.types()
        assert types[1:7] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.completed",
        ]
        assert len({e["item_id"] for e in peer.events[1:4]}) == 1


@pytest.mark.parametrize("voice", ["alloy", "cedar"])
def test_the_voice_s_pitch_over_the_wire(hooks: Hooks, voice: str) -> None:
    session = {"type": "realtime", "audio": {"output": {"voice": voice}}}
    with call(hooks, Peer(audio="recvonly"), session=session) as peer:
        assert not abs(peer.listen(0.2)).max() > 300
        peer.forget()
        peer.ask("Say: one two three four")
        peer.wait("output_audio_buffer.stopped")
        sound = peer.sound()
        assert abs(sound).max() > 4000
        assert pitch(sound) == pytest.approx(VOICES[voice], rel=0.02)
        peer.forget()
        peer.ask("Hello", output_modalities=["text"])
        assert abs(peer.listen(0.3)).max() < 300


def test_a_tone_without_end_is_reported(hooks: Hooks) -> None:
    with call(hooks, session={"type": "transcription"}) as peer:
        assert peer.wait("session.created")["session"]["object"] == "realtime.transcription_session"
        began = time.monotonic()
        peer.whistle(500, 60)
        peer.wait("conversation.item.input_audio_transcription.completed")
        assert time.monotonic() - began < 3.5
        assert "response.created" not in peer.types()


def test_a_peer_that_just_stops_sending(hooks: Hooks) -> None:
    with call(hooks) as peer:
        peer.wait("session.created")
        peer.whistle(500, 60)
        peer.wait("input_audio_buffer.speech_started")
        peer.mic.muted = True
        peer.wait("input_audio_buffer.speech_stopped", timeout=2)


def test_speech_interrupts(hooks: Hooks) -> None:
    with call(hooks) as peer:
        content = [{"type": "input_text", "text": "count to 100"}]
        peer.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        peer.send("response.create")
        peer.wait("response.output_audio_transcript.delta")
        peer.whistle(600, 0.5)
        done = peer.wait("response.done")["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
        peer.wait("output_audio_buffer.cleared", response_id=done["id"])
        types = peer.types()
        assert types.index("input_audio_buffer.speech_started") < types.index("response.done")
        second = peer.wait("response.created", after=types.index("response.done"))["response"]["id"]
        peer.wait("output_audio_buffer.stopped", response_id=second)


def spoken(made: Bench, *sounds: np.ndarray) -> None:
    made.talk.hear(np.concatenate(sounds))


def test_turn_detection_as_the_session_says() -> None:
    import asyncio

    async def main() -> None:
        detection = {"turn_detection": {"create_response": False, "interrupt_response": False}}
        made = Bench(audio={"input": detection})
        spoken(made, tone(440, 0.5), silence(0.5))
        assert not made.tasks
        made.talk.receive('{"type": "session.update", "session": {"audio": {"input": {"turn_detection": null}}}}')
        spoken(made, tone(700, 0.5), silence(0.5))
        made.talk.receive('{"type": "input_audio_buffer.commit"}')
        assert made.events[-1]["transcript"].startswith("a tone of 700 Hz for 1.")
        spoken(made, tone(700, 0.5))
        made.talk.receive('{"type": "input_audio_buffer.clear"}')
        assert made.events[-1]["type"] == "input_audio_buffer.cleared"
        made.talk.receive('{"type": "input_audio_buffer.commit"}')
        assert made.events[-1]["type"] == "error"
        # Sound that goes on is not answered again; a second sound during an answer is answered after it.
        made = Bench(audio={"input": {"turn_detection": {"interrupt_response": False}}}, output_modalities=["text"])
        spoken(made, tone(440, 4.5), silence(0.5))
        assert len(made.tasks) == 1
        spoken(made, tone(440, 0.5), silence(0.5))
        await made.done()
        assert [event["type"] for event in made.events].count("response.done") == 2
        # A session that says what can't be done.
        made = Bench(instructions=5)
        spoken(made, tone(440, 0.5), silence(0.5))
        assert made.events[-1]["error"]["code"] == "invalid_value"

    asyncio.run(main())


def test_sound_is_counted_once() -> None:
    """By its seconds; our own words for it are nothing that the caller said."""
    import asyncio

    async def main() -> None:
        made = Bench(audio={"input": {"turn_detection": None}}, instructions="be brief")
        made.talk.hear(tone(440, 1))
        made.say("input_audio_buffer.commit")
        made.say("response.create")
        await made.done()
        details = made.events[-1]["response"]["usage"]["input_token_details"]
        assert (details["text_tokens"], details["audio_tokens"]) == (2, 10)

    asyncio.run(main())


def test_sound_in_events() -> None:
    import asyncio

    async def main() -> None:
        made = Bench()
        samples = (8000 * np.sin(2 * np.pi * 300 * np.arange(24000) / 24000)).astype("<i2")
        audio = base64.b64encode(samples.tobytes()).decode()
        part = {"type": "input_audio", "audio": audio}
        made.talk.receive(
            f'{{"type": "conversation.item.create", "item": {{"type": "message", "role": "user", "content": [{part}]}}}}'
            .replace("'", '"')
        )  # fmt: skip
        assert made.events[-1]["transcript"] == "a tone of 300 Hz for 1.0 s"
        assert "audio" not in made.events[0]["item"]["content"][0]
        made.talk.receive(f'{{"type": "input_audio_buffer.append", "audio": "{audio}"}}')
        assert made.events[-1]["type"] == "input_audio_buffer.speech_started"
        made.talk.receive('{"type": "input_audio_buffer.commit"}')
        assert made.events[-1]["transcript"] == "a tone of 300 Hz for 1.0 s"

    asyncio.run(main())
