"""The gateway: OpenAI's HTTP interface over provider plugins."""
