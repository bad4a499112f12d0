curl -X POST "http://localhost:4000/v1/videos" \
  -H "Authorization: Bearer sk-litellm-key" \
  -H "Content-Type: application/json" \
  -d '{
    "model": "sora-2",
    "prompt": "Mossy dances through a meadow of glowing flowers.",
    "characters": [{"id": "char_abc123def456"}],
    "seconds": "8",
    "size": "1280x720"
  }'
