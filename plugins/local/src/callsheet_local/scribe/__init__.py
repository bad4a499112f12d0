"""`local/scribe-1`: a small documented rule machine behind the responses and chat operations. The README lists its rules."""
