"""Realtime over WebRTC: `service.py` is what the hooks call; `calls.py` and below live on one loop thread of their own."""
