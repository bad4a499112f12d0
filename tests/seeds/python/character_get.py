from callsheet.compat.litellm import avideo_get_character

character = await avideo_get_character(
    character_id="char_abc123def456",
    custom_llm_provider="local"
)

print(f"Character: {character.name}, Created: {character.created_at}")
