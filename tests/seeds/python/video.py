from callsheet.compat.litellm import avideo

# Create video using the character
video = await avideo(
    model="local/motion-1",
    prompt="A cinematic tracking shot of Mossy weaving through a lantern-lit market at dusk, looking around curiously.",
    characters=[{"id": "char_abc123def456"}],
    seconds="8",
    size="1280x720"
)

print(f"Video ID: {video.id}")
