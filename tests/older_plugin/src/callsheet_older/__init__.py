"""Knows one operation only; every other hook came later."""

from callsheet.io import IO
from callsheet.models import GenerateVideo, Video
from callsheet.spec import Provider, hookimpl


class Older(Provider):
    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        return Video(id="video_of_old", status="completed", prompt=request.prompt)
