from callsheet.compat.litellm import avideo_extension

# Extend video by up to 20 seconds
extended = await avideo_extension(
    video_id="video_xyz123",
    prompt="Mossy walks towards the camera, waves, and smiles warmly.",
    seconds="8",
    custom_llm_provider="local"
)
