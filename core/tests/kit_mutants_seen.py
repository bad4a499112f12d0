"""Adapters that are wrong in one way each, written with the checks in view: those that the others leave without work."""

from __future__ import annotations

from core.tests.kit_mutants_unseen import Mutant

__all__ = ["SEEN_MUTANTS"]

CLASS = "class Acme(cs.Provider):\n"
AUTH = '    auth = cs.ApiKey("x-acme-key")\n'
IMPORT = "import callsheet as cs\n"
LOOK_HEAD = "    async def get_video(self, request: cs.GetVideo, io: cs.IO) -> cs.Video:\n"
LOOK = 'return self._video(await io.get(f"/jobs/{cs.path_segment(request.video_id)}"))'
CHAT = '        asked = cs.Request("POST", "/chat/completions", body=cs.Body.json(request.wire()))\n'
STREAM = 'return await cs.open_stream(asked, io, "chat")'
FILM = 'return await cs.Download.of(await io.stream(cs.Request("GET", path, request.range_headers())))'
POST = 'return self._video(await io.post_json("/jobs", order))'

HEAD = "import callsheet as cs\nfrom callsheet_openai import OpenAIProvider\n\n\n"


def _acme(name: str, fault: str, *substitutions: tuple[str, str]) -> Mutant:
    return Mutant(name, fault, substitutions=substitutions)


def _openai(name: str, fault: str, body: str, head: str = "") -> Mutant:
    return Mutant(name, fault, source=f"{head}{HEAD}class Mutant(OpenAIProvider):\n{body}", base="openai")


def _with_key(key: str) -> str:
    """The order with an idempotency key."""
    asked = f'cs.Request("POST", "/jobs", {{"idempotency-key": {key}}}, body=cs.Body.json(order))'
    return POST.replace('io.post_json("/jobs", order)', f"io.send({asked})")


SEEN_MUTANTS: dict[str, tuple[Mutant, ...]] = {
    "S02": (
        _acme(
            "connects_at_import",
            "Importing the plugin opens a connection: without a network nothing starts.",
            (
                CLASS,
                "import socket\n\n_probe = socket.socket()\n_probe.connect_ex(('127.0.0.1', 9))\n_probe.close()\n\n\n"
                + CLASS,
            ),
        ),
        _acme(
            "prints_at_import",
            "Importing the plugin prints: --json is no JSON.",
            (CLASS, "print('hello')\n\n\n" + CLASS),
        ),
        _acme(
            "slow_import",
            "Importing the plugin computes for a second: every start is slow.",
            (CLASS, "_table = sorted(str(n) for n in range(5_000_000))\n\n\n" + CLASS),
        ),
        _acme(
            "thread_that_ends",
            "Importing the plugin starts a thread, which is over before anybody looks: imports in a fork can hang.",
            (
                CLASS,
                "import threading\n\n_warm = threading.Thread(target=len, args=('',))\n_warm.start()\n_warm.join()\n\n\n"
                + CLASS,
            ),
        ),
        _acme(
            "sleeps_at_import",
            "Importing the plugin waits: every start is slow.",
            (CLASS, "from time import sleep\n\nsleep(0.01)\n\n\n" + CLASS),
        ),
        _acme(
            "reads_a_file_at_import",
            "Importing the plugin reads a file of the user's: where it lacks, nothing starts.",
            (CLASS, "from pathlib import Path\n\n_table = Path('/etc/passwd').read_text()\n\n\n" + CLASS),
        ),
    ),
    "S05": (
        _acme(
            "unmarked_hook", "A hook without its marker is not offered.", ("    @cs.hookimpl\n" + LOOK_HEAD, LOOK_HEAD)
        ),
    ),
    "S06": (
        _acme(
            "argument_too_many",
            "A hook with an argument of its own is never called with it.",
            (LOOK_HEAD, LOOK_HEAD.replace("io: cs.IO", "io: cs.IO, again: bool = False")),
        ),
    ),
    "S07": (
        _acme(
            "plain_hook",
            "A hook that is no coroutine blocks, and can't wait.",
            (LOOK_HEAD, LOOK_HEAD.replace("async def", "def")),
            (LOOK, "raise ValueError"),
        ),
    ),
    "S11": (
        _acme(
            "marked_for_another_project",
            "The hook is marked by a pluggy of its own, for nobody.",
            (IMPORT, "import pluggy\n\n" + IMPORT),
            ("    @cs.hookimpl\n" + LOOK_HEAD, "    @pluggy.HookimplMarker('acme')\n    @cs.hookimpl\n" + LOOK_HEAD),
        ),
    ),
    "S14": (
        _acme(
            "prices_stayed_at_home",
            "The table of prices is not where the class says: what the models cost is not known.",
            (AUTH, AUTH + '    price_table: ClassVar[str | None] = "prices.json"\n'),
        ),
        _acme(
            "a_text_for_a_tuple",
            "A comma is missing: any part of the word counts as one of its values.",
            (AUTH, AUTH + '    repriced_by = {"tier": ("standard")}\n'),
        ),
    ),
    "W03": (
        _acme(
            "asyncio_only",
            "The hook waits by asyncio: trio's programs and sync ones break.",
            (LOOK, f"import asyncio\n\n        await asyncio.sleep(0.001)\n        {LOOK}"),
        ),
    ),
    "W06": (
        _acme(
            "one_size_is_misspelled",
            "One of the sizes is spelled in a way that the vendor does not know.",
            ('"720x1280": "tall"', '"720x1280": "high"'),
        ),
    ),
    "W13": (
        _openai(
            "secret_shown_twice",
            "The ephemeral key stands in the result's repr.",
            "    @cs.hookimpl\n    async def mint_realtime_secret(self, request: cs.MintRealtimeSecret, io: cs.IO)"
            " -> cs.RealtimeSecret:\n"
            "        made = await super().mint_realtime_secret(request, io)\n"
            "        return Shown(value=made.value, expires_at=made.expires_at)\n\n\n"
            "class Shown(cs.RealtimeSecret):\n    def __repr_args__(self):\n        return [('value', self.value)]\n",
        ),
    ),
    "W15": (
        _acme(
            "random_in_the_order",
            "The same order is different each time: nothing can be compared or cached.",
            (IMPORT, "import secrets\n\n" + IMPORT),
            (POST, f'order["x_nonce"] = secrets.token_hex(8)\n        {POST}'),
        ),
        _acme(
            "one_idempotency_key",
            "Every order shows the same idempotency key: the second film is never made.",
            (POST, _with_key('"acme"')),
        ),
        _acme(
            "idempotency_key_of_the_attempt",
            "A second attempt shows a new idempotency key: the film is made and paid for twice.",
            (IMPORT, "import secrets\n\n" + IMPORT),
            (AUTH, AUTH + "    rejects_before_accepting = frozenset({429})\n"),
            (POST, _with_key("secrets.token_hex(8)")),
        ),
    ),
    "T01": (
        _acme(
            "no_finish_reason",
            "No chunk says that the answer is over: clients that wait for it hang.",
            (STREAM, f"stream = {STREAM.removeprefix('return ')}\n            return stream.change(_unfinished)"),
            (
                CLASS,
                "def _unfinished(event: cs.Event) -> cs.Event:\n    document = event.data\n"
                "    for choice in document['choices']:\n        choice['finish_reason'] = None\n"
                "    return cs.Event.of(event.type, document)\n\n\n" + CLASS,
            ),
        ),
    ),
    "T02": (
        _acme(
            "lines_by_hand",
            "Events are cut out of what arrives at once: a cut in the wrong place loses some.",
            (STREAM, "return cs.Stream(Lines(await io.stream(asked)))"),
            (
                CLASS,
                "class Lines:\n    def __init__(self, answer):\n        self.answer, self.waiting = answer, []\n\n"
                "    async def __anext__(self):\n        while not self.waiting:\n"
                "            piece = await self.answer.__anext__()\n"
                "            lines = piece.decode('utf-8', 'replace').split('\\n')\n"
                "            self.waiting = [line[6:] for line in lines if line.startswith('data: {')]\n"
                "        return cs.Event('message', self.waiting.pop(0))\n\n"
                "    async def aclose(self):\n        await self.answer.aclose()\n\n\n" + CLASS,
            ),
        ),
    ),
    "T07": (
        _acme(
            "unknown_events_end_it",
            "An event that the adapter does not know ends the answer.",
            (STREAM, f"stream = {STREAM.removeprefix('return ')}\n            return stream.change(_known)"),
            (
                CLASS,
                "def _known(event: cs.Event) -> cs.Event:\n    if 'choices' not in event.data:\n"
                "        raise cs.APIResponseValidationError('what is this?')\n    return event\n\n\n" + CLASS,
            ),
        ),
    ),
    "E06": (
        _acme(
            "follows_redirects_by_hand",
            "The adapter follows where an answer points, with an order that is sent once more.",
            (
                POST,
                "try:\n            " + POST + "\n        except cs.APIStatusError as error:\n"
                "            if error.status_code != 302:\n                raise\n"
                "            where = 'https://elsewhere.example/taken'\n"
                "            asked = cs.Request('POST', where, body=cs.Body.json(order), auth=None)\n"
                "            return self._video(await io.send(asked))",
            ),
        ),
    ),
    "L01": (
        _acme(
            "left_answer_when_cancelled",
            "Cancelled while it reads, it leaves the connection to the garbage collector.",
            (
                LOOK,
                'answer = await io.stream(cs.Request("GET", f"/jobs/{cs.path_segment(request.video_id)}"))\n'
                "        content = b''.join([piece async for piece in answer])\n"
                "        return self._video(cs.Reply(answer.status, answer.headers, content))",
            ),
        ),
    ),
    "L05": (
        _acme(
            "sleep_by_its_name",
            "It sleeps by a name that it imported: everybody else's calls stand still.",
            (IMPORT, "from time import sleep\n\n" + IMPORT),
            (LOOK, "sleep(0.001)\n        " + LOOK),
        ),
        _acme(
            "reads_a_file",
            "It reads a file in the event loop: on a slow disk everybody else's calls stand still.",
            (IMPORT, "from pathlib import Path\n\n" + IMPORT),
            (LOOK, "Path('/etc/passwd').read_bytes()\n        " + LOOK),
        ),
        _acme(
            "runs_a_program",
            "It waits for a program in the event loop.",
            (IMPORT, "import subprocess\nimport sys\n\n" + IMPORT),
            (LOOK, "subprocess.run([sys.executable, '-V'], capture_output=True)\n        " + LOOK),
        ),
    ),
    "L02": (
        _acme(
            "bare_except",
            "Ctrl-C is taken for a failed look: the program can't be stopped.",
            (LOOK, f"try:\n            {LOOK}\n        except:\n            raise cs.APIError('no look') from None"),
        ),
    ),
    "L06": (
        _acme(
            "remembers_everything",
            "Every look is kept for ever: a gateway grows until it is killed.",
            (AUTH, AUTH + "    looks: ClassVar[list[object]] = []\n"),
            (LOOK, "self.looks.append(request)\n        " + LOOK),
        ),
    ),
    "L08": (
        _acme(
            "a_pool_of_its_own",
            "A pool of threads is made once: in a forked child its work is never done.",
            (IMPORT, "from concurrent.futures import ThreadPoolExecutor\n\n" + IMPORT),
            (AUTH, AUTH + "    pool = ThreadPoolExecutor(1)\n"),
            (LOOK, "self.pool.submit(len, 'abc').result()\n        " + LOOK),
        ),
    ),
}
"""Mutants by the check that must name them."""
