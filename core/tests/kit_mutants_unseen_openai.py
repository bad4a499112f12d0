"""Mutants of what Acme does not have: files, lists, characters, realtime, responses. Each derives from OpenAIProvider."""

from __future__ import annotations

from core.tests.kit_mutants_unseen import Mutant

__all__ = ["OPENAI_MUTANTS"]

HEAD = """from __future__ import annotations

import callsheet as cs
from callsheet_openai import OpenAIProvider

"""


def _mutant(name: str, fault: str, body: str, before: str = "") -> Mutant:
    """`body` is the class's; `before` stands above the class."""
    lines = "\n".join(f"    {line}" if line else "" for line in body.strip("\n").splitlines())
    return Mutant(name, fault, f"{HEAD}{before}\n\nclass Mutant(OpenAIProvider):\n{lines}\n", base="openai")


def _events(name: str, fault: str, source: str, hook: str = "responses", request: str = "cs.CreateResponse") -> Mutant:
    """The stream's events come by way of `source`, a class `Events`."""
    body = f"""
@cs.hookimpl
async def {hook}(self, request: {request}, io: cs.IO) -> cs.Response | cs.Stream:
    answer = await super().{hook}(request, io)
    return cs.Stream(Events(answer)) if isinstance(answer, cs.Stream) else answer
"""
    return _mutant(name, fault, body, source)


_FILES = (
    _mutant(
        "clip_is_read_whole",
        "A clip is read into memory, from its first byte to its last, before any of it is sent: a big one kills the process.",
        """
@cs.hookimpl
async def create_character(self, request: cs.CreateCharacter, io: cs.IO) -> cs.Character:
    clip, content = request.video, b""
    async for chunk in clip.chunks(io.run):
        content += chunk
    held = cs.Upload(content, clip.filename, clip.content_type, len(content))
    fields = [("name", request.name), ("video", held), *request.options.items()]
    return cs.Character.model_validate(cs.whole(await io.post_form("/videos/characters", fields), "id"))
""",
    ),
    _mutant(
        "file_must_be_a_path",
        "Only files given as paths can be sent: bytes, open files and generators, which a gateway has, end in an error.",
        """
@cs.hookimpl
async def create_character(self, request: cs.CreateCharacter, io: cs.IO) -> cs.Character:
    with open(request.video.source, "rb") as clip:
        fields = [("name", request.name), ("video", cs.Upload.of(clip)), *request.options.items()]
        return cs.Character.model_validate(cs.whole(await io.post_form("/videos/characters", fields), "id"))
""",
    ),
    _mutant(
        "variant_is_ignored",
        "Who asks for a thumbnail gets the whole film: hundreds of megabytes in a file named .webp.",
        """
@cs.hookimpl
async def download_video(self, request: cs.DownloadVideo, io: cs.IO) -> cs.Download:
    path = f"/videos/{cs.path_segment(request.video_id)}/content"
    return await cs.Download.of(await io.stream(cs.Request("GET", path, request.range_headers())))
""",
    ),
)

_VIDEOS = (
    _mutant(
        "extension_says_only_what_was_added",
        "An extended video says the seconds that were added instead of its length: players and bills count too little.",
        """
@cs.hookimpl
async def extend(self, request: cs.Extend, io: cs.IO) -> cs.Video:
    video = await super().extend(request, io)
    video.seconds = request.seconds or video.seconds
    return video
""",
    ),
    _mutant(
        "remix_forgets_the_original",
        "A remix is a new video of the prompt alone, made without a look at the one that it was to be made of, and paid for.",
        """
@cs.hookimpl
async def remix(self, request: cs.Remix, io: cs.IO) -> cs.Video:
    document = {name: value for name, value in request.wire().items() if name not in {"model", "video_id"}}
    return cs.Video.model_validate(cs.whole(await io.post_json("/videos", document), "id"))
""",
    ),
    _mutant(
        "pages_start_over",
        "`after` is not sent: every page is the first one, and a program that lists all videos never ends.",
        """
@cs.hookimpl
async def list_videos(self, request: cs.ListVideos, io: cs.IO) -> cs.VideoList:
    reply = await io.get("/videos", limit=request.limit, order=request.order, **request.options)
    return cs.VideoList.model_validate(cs.whole(reply, "data"))
""",
    ),
    _mutant(
        "delete_always_succeeds",
        "A video that can't be deleted, or that is not there, or not this account's, is reported as deleted.",
        """
@cs.hookimpl
async def delete_video(self, request: cs.DeleteVideo, io: cs.IO) -> cs.DeletedVideo:
    try:
        return await super().delete_video(request, io)
    except cs.APIStatusError:
        return cs.DeletedVideo(id=request.video_id)
""",
    ),
    _mutant(
        "closing_fails",
        "Closing the client raises AttributeError unless a character was made before: `with Client(...)` fails at its end.",
        """
@cs.hookimpl
async def create_character(self, request: cs.CreateCharacter, io: cs.IO) -> cs.Character:
    self._workers = ThreadPoolExecutor(1)
    return await super().create_character(request, io)

def close(self) -> None:
    self._workers.shutdown()
""",
        "from concurrent.futures import ThreadPoolExecutor\n",
    ),
)

_REALTIME = (
    _mutant(
        "browser_call_shows_the_account_key",
        "A call with an ephemeral key is made with the account's: the limits and the session of the ephemeral key do not"
        " hold, or the vendor refuses it.",
        """
def credential(self, request: cs.Request, io: cs.IO) -> str:
    key = self.settings.api_key
    return key.get_secret_value() if key else super().credential(request, io)
""",
    ),
    _mutant(
        "one_secret_for_all_browsers",
        "The ephemeral key of the first browser is given to all that come later: they share a session's settings, and a"
        " lifetime that is over too soon.",
        """
_minted: cs.RealtimeSecret | None = None

@cs.hookimpl
async def mint_realtime_secret(self, request: cs.MintRealtimeSecret, io: cs.IO) -> cs.RealtimeSecret:
    if self._minted is None or self._minted.expires_at < io.now() + 60:
        self._minted = await super().mint_realtime_secret(request, io)
    return self._minted
""",
    ),
    _mutant(
        "lifetime_is_ignored",
        "expires_after is not sent: a key that should live ten seconds lives ten minutes in a stranger's browser.",
        """
@cs.hookimpl
async def mint_realtime_secret(self, request: cs.MintRealtimeSecret, io: cs.IO) -> cs.RealtimeSecret:
    return await super().mint_realtime_secret(request.model_copy(update={"expires_after": None}), io)
""",
    ),
    _mutant(
        "sdp_answer_is_tidied",
        "The SDP answer comes without its last line end: browsers refuse it, and the call, which is paid, has no sound.",
        """
@cs.hookimpl
async def relay_sdp(self, request: cs.RelaySDP, io: cs.IO) -> cs.RealtimeCall:
    call = await super().relay_sdp(request, io)
    return cs.RealtimeCall(id=call.id, sdp=call.sdp.decode().strip())
""",
    ),
    _mutant(
        "call_id_is_lost",
        "The call has no id though the vendor told it: nobody can hang it up, and it runs on at the account's expense.",
        """
@cs.hookimpl
async def relay_sdp(self, request: cs.RelaySDP, io: cs.IO) -> cs.RealtimeCall:
    return cs.RealtimeCall(sdp=(await super().relay_sdp(request, io)).sdp)
""",
    ),
    _mutant(
        "hang_up_never_fails",
        "Hanging up swallows every error: a call that could not be ended looks ended, and is paid on.",
        """
@cs.hookimpl
async def hang_up(self, request: cs.HangUp, io: cs.IO) -> None:
    try:
        await super().hang_up(request, io)
    except Exception:
        pass
""",
    ),
)

_TEXT = (
    _mutant(
        "responses_are_not_stored",
        "store=False goes along though nobody said it: get_response and previous_response_id find nothing.",
        """
@cs.hookimpl
async def responses(self, request: cs.CreateResponse, io: cs.IO) -> cs.Response | cs.Stream:
    if request.store is None and not request.background:
        request = request.model_copy(update={"store": False})
    return await super().responses(request, io)
""",
    ),
    _mutant(
        "callers_messages_are_changed",
        "The caller's own list of messages is rewritten: the next call, to another provider, carries this one's words.",
        """
@cs.hookimpl
async def chat_completions(self, request: cs.CreateChatCompletion, io: cs.IO) -> cs.ChatCompletion | cs.Stream:
    for message in request.messages:
        if message.get("role") == "system":
            message["role"] = "developer"
    return await super().chat_completions(request, io)
""",
    ),
    _mutant(
        "unknown_fields_are_parsed_away",
        "A completion holds only what the adapter knows: service_tier, citations and whatever the vendor adds are gone.",
        """
@cs.hookimpl
async def chat_completions(self, request: cs.CreateChatCompletion, io: cs.IO) -> cs.ChatCompletion | cs.Stream:
    answer = await super().chat_completions(request, io)
    if isinstance(answer, cs.Stream):
        return answer
    known = ("id", "object", "created", "model", "choices", "usage")
    return cs.ChatCompletion({name: answer.raw[name] for name in known if name in answer.raw})
""",
    ),
    _mutant(
        "resumed_stream_starts_over",
        "starting_after is not sent: a stream that is taken up again repeats what was said, and texts stand there twice.",
        """
@cs.hookimpl
async def get_response(self, request: cs.GetResponse, io: cs.IO) -> cs.Response | cs.Stream:
    return await super().get_response(request.model_copy(update={"starting_after": None}), io)
""",
    ),
    _events(
        "events_come_one_late",
        "An event is handed out when the next one has come: every word is late, and the last before a break is lost.",
        """
class Events:
    def __init__(self, events):
        self.events, self.held, self.over = events, None, False

    async def __anext__(self):
        if self.held is None and not self.over:
            self.held = await self.events.__anext__()
        if self.held is None:
            raise StopAsyncIteration
        event, self.held = self.held, None
        try:
            self.held = await self.events.__anext__()
        except StopAsyncIteration:
            self.over = True
        return event

    async def aclose(self):
        await self.events.aclose()
""",
    ),
    _events(
        "stream_is_collected",
        "All events are read before the first is handed out: the answer appears at once after a minute, or not at all.",
        """
class Events:
    def __init__(self, events):
        self.events, self.all = events, None

    async def __anext__(self):
        if self.all is None:
            self.all = [event async for event in self.events]
        if not self.all:
            raise StopAsyncIteration
        return self.all.pop(0)

    async def aclose(self):
        await self.events.aclose()
""",
    ),
    _events(
        "unknown_events_are_dropped",
        "Events of types that the adapter does not list are swallowed: new tools and phases never reach the program.",
        """
KNOWN = ("response.", "error")


class Events:
    def __init__(self, events):
        self.events = events

    async def __anext__(self):
        while True:
            event = await self.events.__anext__()
            if event.type.startswith(KNOWN):
                return event

    async def aclose(self):
        await self.events.aclose()
""",
    ),
)

OPENAI_MUTANTS: tuple[Mutant, ...] = (*_FILES, *_VIDEOS, *_REALTIME, *_TEXT)
