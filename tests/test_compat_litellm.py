"""The names of LiteLLM's posts in their sync form, and what they return read as people paste it. (test_seeds.py runs the
posts' own snippets, which are async.)"""

import shutil
import subprocess
import sys

from gateway.tests.serving import CLIP

TWINS = """
import time
from callsheet.compat.litellm import (
    video, video_content, video_create_character, video_edit, video_extension, video_get_character, video_status
)

def finished(job):
    while (job := video_status(video_id=job.id)).status != "completed":
        assert job.status in ("queued", "in_progress"), job
        time.sleep(0.1)
    return job

character = video_create_character(name="Luna", video=open("luna_intro.mp4", "rb"), custom_llm_provider="local")
print(video_get_character(character_id=character.id).name)
scene = finished(video(
    model="local/motion-1", prompt="Luna dances", characters=[{"id": character.id}], seconds="1", size="320x180"
))
for job in (video_extension(video_id=scene.id, prompt="Luna waves", seconds="1"), video_edit(video_id=scene.id, prompt="warm")):
    print(finished(job).seconds, video_content(job.id)[4:8])
"""


TALK = """
from callsheet.compat.litellm import completion, responses

items = []


def run_turn(user_text):
    items.append({"type": "message", "role": "user", "content": [{"type": "input_text", "text": user_text}]})
    resp = responses(model="local/scribe-1", input=items)
    for out_item in (resp.output or []):
        items.append(out_item)
    return resp


run_turn("My name is Ada. What is 6 times 7?")
resp = run_turn("What is my name?")
print([item.phase for item in resp.output], resp.output_text)
messages = [{"role": "user", "content": "What is 6 times 7?"}]
response = completion(model="local/scribe-1", messages=messages)
print(response.choices[0].message.content, response.usage.total_tokens > 0)
for chunk in completion(model="local/scribe-1", messages=messages, stream=True):
    print(chunk.choices[0].delta.content or "", end="")
"""


def run(program, folder, monkeypatch):
    shutil.copy(CLIP, folder / "luna_intro.mp4")
    monkeypatch.setenv("CALLSHEET_LOCAL_DIR", str(folder / "data"))
    for name in ("CALLSHEET_PROVIDERS", "CALLSHEET_WRAPS"):
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, encoding="utf-8", timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_responses_and_chat_read_as_pasted(tmp_path, monkeypatch):
    first, second, third = run(TALK, tmp_path, monkeypatch).splitlines()
    assert first.startswith("['commentary', 'final_answer'] ")
    assert "Ada" in first
    assert second == f"{third} True"
    assert "42" in third


def test_the_sync_twins_of_the_posts_workflow(tmp_path, monkeypatch):
    assert run(TWINS, tmp_path, monkeypatch).splitlines() == ["Luna", "2 b'ftyp'", "1 b'ftyp'"]
