from callsheet.compat.litellm import avideo_create_character

# Create character from video
character = await avideo_create_character(
    name="Mossy",  # Character name (use in prompts)
    video=open("character.mp4", "rb"),  # Short 2-4 second clip
    custom_llm_provider="local",
    model="sora-2"
)

print(f"Character ID: {character.id}")
# Output: Character ID: char_abc123def456
