"""The Gemini API: Veo's videos, with characters that are kept on this machine, and chat.

`callsheet_gemini.wire.GeminiWire` is the vendor that is not there, for tests.
"""

from callsheet_gemini.provider import GeminiProvider
from callsheet_gemini.settings import GeminiSettings

__all__ = ["GeminiProvider", "GeminiSettings"]
