# Get character
curl -X GET "http://localhost:4000/v1/videos/characters/char_xyz123" \
  -H "Authorization: Bearer sk-litellm-key"
