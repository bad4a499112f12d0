from callsheet.compat.litellm import avideo_edit

# Edit existing video with character
edited = await avideo_edit(
    video_id="video_xyz123",
    prompt="Shift the lighting to warm golden hour, add wind effects to character's fur.",
    custom_llm_provider="local"
)
