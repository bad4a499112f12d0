"""As little as a provider can be: no settings, no network, one operation. Every other hook came later, for it."""

from callsheet import IO, GenerateVideo, Provider, Video, hookimpl


class Small(Provider):
    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        return Video(id="video_of_old", status="completed", prompt=request.prompt)
