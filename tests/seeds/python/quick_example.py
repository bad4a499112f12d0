import asyncio
from callsheet.compat import litellm

# mended: the post has no `await` before its five calls, and does not wait for the video (as `while` does) to edit it

# Create character from video
character = await litellm.avideo_create_character(
    name="Luna",
    video=open("luna.mp4", "rb"),
    custom_llm_provider="local",
    model="sora-2"
)
print(f"Character: {character.id}")

# Use in generation
video = await litellm.avideo(
    model="local/motion-1",
    prompt="Luna dances through a magical forest.",
    characters=[{"id": character.id}],
    seconds="8"
)
while (await litellm.avideo_status(video.id)).status in ("queued", "in_progress"):
    await asyncio.sleep(1)

# Get character info
fetched = await litellm.avideo_get_character(
    character_id=character.id,
    custom_llm_provider="local"
)

# Edit with character preserved
edited = await litellm.avideo_edit(
    video_id=video.id,
    prompt="Add warm golden lighting"
)

# Extend sequence
extended = await litellm.avideo_extension(
    video_id=video.id,
    prompt="Luna waves goodbye",
    seconds="5"
)
