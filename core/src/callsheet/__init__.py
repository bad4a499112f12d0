"""Callsheet: keep your `/v1/videos` code, change the provider."""
