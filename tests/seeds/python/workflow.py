import asyncio
from callsheet.compat.litellm import (
    avideo_create_character,
    avideo,
    avideo_extension,
    avideo_edit,
    avideo_get_character,
    avideo_status
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
        model="local/motion-1",
        prompt="Luna the magical fox dancing through a cosmic forest, stars trailing her movement.",
        characters=[{"id": char_id}],
        seconds="8",
        size="1280x720"
    )
    print(f"✓ Scene 1: {scene1.id} ({scene1.status})")

    # Wait for completion (in production, use webhooks)
    while scene1.status in ("queued", "in_progress"):
        await asyncio.sleep(5)
        scene1 = await avideo_status(scene1.id) # refresh  # mended: the post asks avideo_get_character(char_id), for ever

    # Step 3: Extend with same character
    print("Extending scene...")
    scene2 = await avideo_extension(
        video_id=scene1.id,
        prompt="Luna leaps into the air, transforms into stardust, and reforms on a moonlit cliff.",
        seconds="6"
    )
    print(f"✓ Scene 2 (extension): {scene2.id}")

    # Step 4: Edit for color grading
    print("Applying color grade...")
    scene1_graded = await avideo_edit(
        video_id=scene1.id,
        prompt="Shift palette to cool blues and purples with enhanced glow effects around Luna."
    )
    print(f"✓ Scene 1 graded: {scene1_graded.id}")

    print("\n✓ Branded series created with consistent Luna character!")

asyncio.run(create_branded_series())
