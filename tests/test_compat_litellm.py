"""The posts' "Full example workflow" with another import and another provider, as people would run it.

Two lines differ from the post: the import, and the loop that waits, which in the post looks at the character instead of
the video and never ends. `seconds` and `size` are smaller: the test is about the calls, not about the pictures.
"""

import shutil
import subprocess
import sys
from pathlib import Path

CLIP = Path(__file__).parent.parent / "plugins/local/src/callsheet_local/media/bunny-720p-3s.mp4"
WORKFLOW = """
import asyncio
from callsheet.compat.litellm import (
    avideo_create_character,
    avideo,
    avideo_content,
    avideo_extension,
    avideo_edit,
    avideo_get_character,
    avideo_status,
)

async def create_branded_series():
    # Step 1: Create character asset
    print("Creating character...")
    character = await avideo_create_character(
        name="Luna",
        video=open("luna_intro.mp4", "rb"),
        custom_llm_provider="local"
    )
    char_id = character.id
    print(f"✓ Character created: {char_id}")

    # Step 2: Generate first scene
    print("Generating opening scene...")
    scene1 = await avideo(
        model="motion-1",
        prompt="Luna the magical fox dancing through a cosmic forest, stars trailing her movement.",
        characters=[{"id": char_id}],
        seconds="2",
        size="640x360"
    )
    print(f"✓ Scene 1: {scene1.id} ({scene1.status})")

    # Wait for completion (in production, use webhooks)
    while scene1.status in ("queued", "in_progress"):
        await asyncio.sleep(0.2)
        scene1 = await avideo_status(scene1.id) # refresh
    assert scene1.status == "completed", scene1
    assert (await avideo_get_character(char_id)).name == "Luna"

    # Step 3: Extend with same character
    print("Extending scene...")
    scene2 = await avideo_extension(
        video_id=scene1.id,
        prompt="Luna leaps into the air, transforms into stardust, and reforms on a moonlit cliff.",
        seconds="1"
    )
    print(f"✓ Scene 2 (extension): {scene2.id}")

    # Step 4: Edit for color grading
    print("Applying color grade...")
    scene1_graded = await avideo_edit(
        video_id=scene1.id,
        prompt="Shift palette to cool blues and purples with enhanced glow effects around Luna."
    )
    print(f"✓ Scene 1 graded: {scene1_graded.id}")

    for scene in (scene2, scene1_graded):
        while (scene := await avideo_status(video_id=scene.id)).status != "completed":
            assert scene.status in ("queued", "in_progress"), scene
            await asyncio.sleep(0.2)
        content = await avideo_content(scene.id)
        assert content[4:8] == b"ftyp"
        print(scene.seconds, "seconds")

    print("\\n✓ Branded series created with consistent Luna character!")

asyncio.run(create_branded_series())
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


def test_the_full_example_workflow(tmp_path, monkeypatch):
    said = run(WORKFLOW, tmp_path, monkeypatch)
    assert "✓ Scene 1: video_" in said
    assert said.splitlines()[-4:-2] == ["3 seconds", "2 seconds"]
    assert said.endswith("✓ Branded series created with consistent Luna character!\n")
