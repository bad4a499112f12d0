"""Mutants of Acme, the tutorial's adapter: its source, with other words in one or two places."""

from __future__ import annotations

from core.tests.kit_mutants_unseen import Mutant

__all__ = ["ACME_MUTANTS"]

IMPORT = "import callsheet as cs\n"
AUTH = '    auth = cs.ApiKey("x-acme-key")\n'
NOTES = '{"edit": "vendor cannot", "extend": "not yet"}'
STATIC = "    @staticmethod\n    def _video("
CLASS = "class Acme(cs.Provider):\n"
ORDER = '{"text": request.prompt, **request.options}'
POST = 'return self._video(await io.post_json("/jobs", order))'
LOOK = 'return self._video(await io.get(f"/jobs/{cs.path_segment(request.video_id)}"))'
FILM = 'path = f"/jobs/{cs.path_segment(request.video_id)}/film"'
DOWNLOAD = 'return await cs.Download.of(await io.stream(cs.Request("GET", path, request.range_headers())))'
STREAM = 'return await cs.open_stream(asked, io, "chat")'
BASE_URL = '"https://api.acme.example/v1"'
STATE = 'STATES.get(job["state"], job["state"])'


def _mutant(name: str, fault: str, *substitutions: tuple[str, str]) -> Mutant:
    return Mutant(name, fault, substitutions=substitutions)


def _with_import(name: str) -> tuple[str, str]:
    return IMPORT, f"import {name}\n\n{IMPORT}"


def _with_start(line: str) -> tuple[str, str]:
    """What the provider does when it is made."""
    head = "    def __init__(self, settings):\n        super().__init__(settings)\n"
    return AUTH, f"{AUTH}\n{head}        {line}\n\n"


def _with_method(source: str) -> tuple[str, str]:
    return STATIC, f"{source}\n{STATIC}"


def _with_source(body: str) -> tuple[tuple[str, str], ...]:
    """The stream's events by way of a class of the adapter's own."""
    head = "class Chunks:\n    def __init__(self, events):\n        self.events = events\n\n"
    return (CLASS, f"{head}{body}\n\n{CLASS}"), (STREAM, f"return cs.Stream(Chunks({STREAM.removeprefix('return ')}))")


_WHAT_IS_SENT = (
    _mutant(
        "prompt_is_tidied",
        "A prompt's line breaks and indents, a shot list's or a poem's, are gone: the film is made of another text.",
        (ORDER, ORDER.replace("request.prompt", '" ".join(request.prompt.split())')),
    ),
    _mutant(
        "falsy_options_are_dropped",
        "extra_body={'x_seed': 0} (or false, or null) is not sent: the seed is random though the caller fixed it.",
        (ORDER, ORDER.replace("request.options", "{k: v for k, v in request.options.items() if v}")),
    ),
    _mutant(
        "unknown_size_is_ignored",
        "A size that Acme does not have is left out without a word: a film of another shape is made and paid for.",
        ('request.choice("size", SHAPES)', "SHAPES.get(request.size or '')"),
    ),
    _mutant(
        "references_are_dropped",
        "input_reference and characters are accepted and not used: a film of somebody else is made and paid for.",
        ('        request.only("prompt", "seconds", "size")\n', ""),
    ),
    _mutant(
        "unknown_model_is_replaced",
        "A model's name that the adapter does not know is replaced by another: the wrong model works and is paid.",
        (CLASS, f'MODELS = ("acme-video-1", "acme-video-1-pro")\n\n\n{CLASS}'),
        ('order["model"] = request.model', 'order["model"] = request.model if request.model in MODELS else MODELS[0]'),
    ),
    _mutant(
        "order_is_reused",
        "One dict serves all orders of all accounts: who says no length gets the length, and the extra_body, of whoever"
        " asked before.",
        (AUTH, f"{AUTH}    order: ClassVar[dict[str, object]] = {{}}\n"),
        (f"order = {ORDER}", f"order = self.order\n        order |= {ORDER}"),
    ),
    _mutant(
        "temperature_zero_is_dropped",
        "temperature=0, stream=False and nulls are not sent: answers that should be the same each time differ.",
        ("request.wire()", "{name: value for name, value in request.wire().items() if value}"),
    ),
    _mutant(
        "id_opens_other_paths",
        "An id with a slash or a question mark in it asks for another path of the vendor's, with the account's key.",
        (LOOK, LOOK.replace("cs.path_segment(request.video_id)", "request.video_id")),
    ),
    _mutant(
        "ids_are_decorated",
        "Results carry 'acme-...' instead of the vendor's own id: what is in the vendor's console, webhooks and bills"
        " can't be matched with them.",
        ('id=job["job"]', "id=f\"acme-{job['job']}\""),
        (LOOK, LOOK.replace("request.video_id", "request.video_id.removeprefix('acme-')")),
        (FILM, FILM.replace("request.video_id", "request.video_id.removeprefix('acme-')")),
    ),
)

_WHAT_IS_PAID_TWICE = (
    _mutant(
        "order_is_sent_again",
        "A 5xx or a lost answer after the vendor accepted is followed by the same order again: the film is paid twice.",
        (
            POST,
            f"try:\n            {POST}\n        except cs.APIError as error:\n"
            "            if error.status_code is not None and error.status_code < 500:\n                raise\n"
            f"            {POST}",
        ),
    ),
    _mutant(
        "promises_too_much",
        "The adapter promises that after a 500 nothing was begun: the router orders again, and the film is paid twice.",
        (AUTH, f"{AUTH}    rejects_before_accepting = frozenset({{429, 500, 503}})\n"),
    ),
    _mutant(
        "order_is_not_billable",
        "An order says billable=False: after a lost answer should_retry is not False, and the caller's loop pays again.",
        (
            'io.post_json("/jobs", order)',
            'io.send(cs.Request("POST", "/jobs", body=cs.Body.json(order), billable=False))',
        ),
    ),
    _mutant(
        "waits_until_done",
        "generate_video comes back when the film is done: minutes instead of a second, and after a timeout the id of"
        " what was paid for is lost.",
        (
            POST,
            POST.replace("return", "video =") + "\n        while not video.finished:\n            await io.sleep(0.2)\n"
            '            video = self._video(await io.get(f"/jobs/{cs.path_segment(video.id)}"))\n'
            "        return video",
        ),
    ),
)

_HOW_JOBS_END = (
    _mutant(
        "failed_job_is_an_error",
        "Looking at a job that failed raises an APIError: there is no Video with status 'failed', no reason, no `wait`.",
        (
            "        error = cs.VideoError(",
            '        if job["state"] == "broken":\n'
            '            raise cs.APIError(job.get("why") or "the job failed", code="job_failed")\n'
            "        error = cs.VideoError(",
        ),
    ),
    _mutant(
        "failure_has_no_reason",
        "A failed job does not say why: nobody learns that the prompt was blocked, and sends it again.",
        ("status=status, error=error", "status=status"),
    ),
    _mutant(
        "unknown_state_is_failed",
        "A state that the vendor added later is told as 'failed': `wait` gives up on a job that goes on and is paid.",
        (STATE, 'STATES.get(job["state"], "failed")'),
    ),
    _mutant(
        "failing_look_is_in_progress",
        "A wrong key, a mistyped or foreign id is told as a job in progress: `wait` waits for ever for what is not there.",
        (
            LOOK,
            f"try:\n            {LOOK}\n        except cs.APIStatusError:  # says nothing of the job\n"
            '            return cs.Video(id=request.video_id, status="in_progress")',
        ),
    ),
    _mutant(
        "finished_jobs_are_shared",
        "Finished jobs are kept for ever, for all accounts: one customer's id shows another customer's job.",
        (AUTH, f"{AUTH}    done: ClassVar[dict[str, cs.Video]] = {{}}\n"),
        (
            LOOK,
            "if request.video_id in self.done:\n            return self.done[request.video_id]\n        "
            + LOOK.replace("return", "video =")
            + "\n        if video.finished:\n            self.done[video.id] = video\n        return video",
        ),
    ),
)

_HOW_IT_WAITS = (
    _mutant(
        "cancellation_becomes_an_error",
        "A cancelled look is told as a connection error, and the router looks again: tasks can't be cancelled, and Ctrl-C"
        " does nothing.",
        (
            LOOK,
            f"try:\n            {LOOK}\n        except cs.CallsheetError:\n            raise\n"
            "        except BaseException as error:\n"
            '            raise cs.APIConnectionError(f"Acme could not be asked: {error!r}") from error',
        ),
    ),
    _mutant(
        "asyncio_lock",
        "Looks take turns by an asyncio.Lock: two threads with one sync client, or two tasks under trio, crash.",
        _with_import("asyncio"),
        _with_start("self._turn = asyncio.Lock()"),
        (LOOK, f"async with self._turn:\n            {LOOK}"),
    ),
    _mutant(
        "blocks_the_loop",
        "A look sleeps by time.sleep, to be polite: all other tasks of an async program stand still meanwhile.",
        _with_import("time"),
        (LOOK, f"time.sleep(0.3)\n        {LOOK}"),
    ),
    _mutant(
        "goes_past_io",
        "Looks go by urllib in a thread: no deadline, no account's headers, no cap, no transport of the caller's, and"
        " errors that are not callsheet's.",
        _with_import("urllib.request"),
        (LOOK, "return self._video(cs.Reply(200, {}, await io.run(self._look, request.video_id)))"),
        _with_method(
            "    def _look(self, id):\n"
            '        url = f"{self.settings.base_url}/jobs/{cs.path_segment(id)}"\n'
            '        headers = {"x-acme-key": self.settings.api_key.get_secret_value()}\n'
            "        asked = urllib.request.Request(url, headers=headers)\n"
            "        with urllib.request.urlopen(asked, timeout=60) as answer:\n            return answer.read()\n"
        ),
    ),
)

_WHAT_COMES_PIECE_BY_PIECE = (
    _mutant(
        "if_range_is_forgotten",
        "if_range is not sent: a download that goes on after the file changed is two halves of different films.",
        ("request.range_headers()", '{"range": request.range} if request.range else {}'),
    ),
    _mutant(
        "film_is_read_whole",
        "A film is read to its end before its first byte is handed out: gigabytes in memory, and no progress.",
        (
            CLASS,
            "class Held:\n    def __init__(self, reply):\n"
            "        self.status, self.headers, self._content = reply.status, reply.headers, reply.content\n\n"
            "    async def read(self, deadline):\n        content, self._content = self._content, b''\n"
            "        return content\n\n    async def aclose(self):\n        self._content = b''\n\n\n" + CLASS,
        ),
        (
            DOWNLOAD,
            'reply = await io.send(cs.Request("GET", path, request.range_headers()), max_bytes=1 << 40)\n'
            "        return await cs.Download.of(cs.ByteStream(reply.status, reply.headers, Held(reply), 60.0))",
        ),
    ),
    _mutant(
        "usage_chunk_is_dropped",
        "Chunks without choices are passed over: the usage that the caller asked for, and every new kind of chunk, is lost.",
        *_with_source(
            "    async def __anext__(self):\n        while True:\n            event = await self.events.__anext__()\n"
            '            if event.data.get("choices"):\n                return event\n\n'
            "    async def aclose(self):\n        await self.events.aclose()\n",
        ),
    ),
    _mutant(
        "left_stream_stays_open",
        "Leaving a stream early closes nothing: the model talks on at the caller's expense, and a connection is lost.",
        *_with_source(
            "    async def __anext__(self):\n        return await self.events.__anext__()\n\n"
            '    async def aclose(self):\n        """The last event has closed it."""\n',
        ),
    ),
    _mutant(
        "broken_stream_ends_quietly",
        "A stream that breaks, or that tells of an error, just ends: half an answer is taken for the whole.",
        *_with_source(
            "    async def __anext__(self):\n        try:\n            return await self.events.__anext__()\n"
            "        except cs.CallsheetError:\n            raise StopAsyncIteration from None\n\n"
            "    async def aclose(self):\n        await self.events.aclose()\n",
        ),
    ),
)

_ERRORS = (
    _mutant(
        "error_with_status_200_is_an_answer",
        "A chat's 200 that holds an error is handed out as a completion whose text is None; nobody is told.",
        ('cs.whole(await io.send(asked), "choices")', "(await io.send(asked)).document()"),
    ),
    _mutant(
        "errors_by_their_words",
        "An error whose words hold 'rate' is a RateLimitError: 'could not be generated' (400) is tried again and again.",
        _with_method(
            "    def error(self, reply):\n        error = cs.envelope_error(reply)\n"
            '        if "rate" not in error.message.lower():\n            return error\n'
            "        return cs.RateLimitError(error.message, code=error.code, request_id=error.request_id,\n"
            "                                 retry_after=error.retry_after, body=error.body)\n"
        ),
    ),
    _mutant(
        "retry_after_is_lost",
        "Errors are made without Retry-After: callers and router come back at once, and are thrown out for longer.",
        _with_method(
            "    def error(self, reply):\n        said = cs.envelope_error(reply)\n"
            "        return cs.status_error(reply.status, said.message, code=said.code, param=said.param,\n"
            "                               body=said.body, request_id=reply.request_id)\n"
        ),
    ),
    _mutant(
        "errors_do_not_pickle",
        "Errors are of classes made on the fly: in a process pool or a task queue they crash the worker's reply instead of"
        " arriving.",
        _with_method(
            "    def error(self, reply):\n        error = cs.envelope_error(reply)\n"
            '        error.__class__ = type(f"Acme{type(error).__name__}", (type(error),), {})\n'
            "        return error\n"
        ),
    ),
)

_SECRETS = (
    _mutant(
        "key_is_plain_text",
        "The settings keep the key as a plain text: it stands in the repr of settings and accounts, and so in tracebacks"
        " and logs.",
        (BASE_URL, f"{BASE_URL}\n    api_key: str | None = None"),
        _with_method(
            "    def credential(self, request, io):\n        if request.auth == 'account' and self.settings.api_key:\n"
            "            return self.settings.api_key\n        return super().credential(request, io)\n"
        ),
    ),
    _mutant(
        "key_is_logged",
        "With logging at DEBUG the key stands in the log of every request.",
        _with_import("logging"),
        _with_method(
            "    async def auth_headers(self, request, io):\n"
            "        headers = await super().auth_headers(request, io)\n"
            '        logging.getLogger("acme").debug("%s %s %s", request.method, request.url, dict(headers))\n'
            "        return headers\n"
        ),
    ),
    _mutant(
        "environment_beats_the_account",
        "ACME_API_KEY of the environment is used though the client was given another key: the wrong account pays.",
        _with_import("os"),
        _with_method(
            "    def credential(self, request, io):\n"
            '        return os.environ.get("ACME_API_KEY") or super().credential(request, io)\n'
        ),
    ),
    _mutant(
        "key_at_construction",
        "The provider takes its key when it is made: without one there is an AttributeError instead of the words that name"
        " the variable to set.",
        _with_start("self._key = settings.api_key.get_secret_value()"),
    ),
    _mutant(
        "address_read_at_import",
        "The base URL is read from an undeclared variable when the module is imported: what is set later, by a .env file or"
        " a test, does not count, and reports do not know of it.",
        _with_import("os"),
        (BASE_URL, f'os.environ.get("ACME_BASE_URL", {BASE_URL})'),
    ),
)

_WHAT_IS_DECLARED = (
    _mutant(
        "thread_from_construction",
        "Every client leaves a thread behind, whether it is closed or not.",
        _with_import("threading"),
        _with_start("threading.Thread(target=threading.Event().wait, daemon=True).start()"),
    ),
    _mutant(
        "declared_and_missing",
        "delete_video is listed as offered and always fails by a bare NotImplementedError: no choice of provider by what it"
        " can do is right, and there is no status 501.",
        _with_method(
            "    @cs.hookimpl\n    async def delete_video(self, request, io):\n        raise NotImplementedError\n"
        ),
    ),
    _mutant(
        "hook_has_a_typo",
        "The hook is called download_videos: films are made and paid for, and can't be fetched.",
        ("async def download_video(", "async def download_videos("),
    ),
    _mutant(
        "notes_deny_what_is_offered",
        "Reports say that the vendor can't give films out, though the adapter does it: users choose another provider.",
        (NOTES, NOTES.replace("}", ', "download_video": "vendor cannot"}')),
    ),
    _mutant(
        "models_promise_what_is_missing",
        "The list of models says that video-1 is for editing, which the adapter refuses.",
        (AUTH, f'{AUTH}    models = {{"video-1": ("generate_video", "edit")}}\n'),
    ),
    _mutant(
        "claims_to_be_embedded",
        "The adapter says that it needs no key and no network: programs that name no provider come to it, or are told that"
        " two could be meant.",
        (AUTH, f"{AUTH}    embedded = True\n"),
    ),
)

ACME_MUTANTS: tuple[Mutant, ...] = (
    *(*_WHAT_IS_SENT, *_WHAT_IS_PAID_TWICE, *_HOW_JOBS_END, *_HOW_IT_WAITS),
    *(*_WHAT_COMES_PIECE_BY_PIECE, *_ERRORS, *_SECRETS, *_WHAT_IS_DECLARED),
)
