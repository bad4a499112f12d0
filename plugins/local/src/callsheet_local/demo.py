"""`callsheet demo`: a character cut from a real clip stars in three videos, with no key and no network.

Each step is a function of a few lines, and the demo prints those lines before it runs them: what it shows is what it
does. The steps are those of a branded series - create a character, render a scene, extend it, edit it, save all three -
and then a realtime call and a conversation (demo_talk.py).
"""

from __future__ import annotations

import asyncio
import inspect
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from attrs import asdict, define, evolve, field, frozen

from callsheet import AsyncClient, Character, Client, UnknownProvider, UnsupportedOperation, Video
from callsheet.cli.options import Session, json_option
from callsheet.cli.output import print_json, size_of, table
from callsheet.cli.progress import of_job
from callsheet_local.demo_talk import Said, talk

__all__ = ["demo"]

MEDIA = Path(__file__).parent / "media"
CLIP = MEDIA / "bunny-720p-3s.mp4"
PROVIDER, MODEL = "local", "local/motion-1"
FILES = ("scene-1.mp4", "scene-2-extended.mp4", "scene-1-graded.mp4")
Show = Callable[[Video], None]


def create_character(client: Client) -> Character:
    return client.create_character(name="Bunny", video=CLIP)


def render_a_scene(client: Client, bunny: Character, seconds: int, show: Show) -> Video:
    job = client.generate_video(
        prompt="Bunny strolls through a meadow of glowing flowers at dusk, looking around curiously.",
        characters=[bunny.id],
        seconds=seconds,
        size="1280x720",
    )
    return client.wait(job, on_progress=show)


async def extend_it(client: AsyncClient, scene_id: str, seconds: int, show: Show) -> Video:
    job = await client.extend(
        video=scene_id,
        prompt="Bunny leaps into the air and lands on a moonlit hill.",
        seconds=seconds,
    )
    return await client.wait(job, on_progress=show)


async def edit_it(client: AsyncClient, scene_id: str, show: Show) -> Video:
    job = await client.edit(
        video=scene_id,
        prompt="Shift the palette to cool blues and purples.",
    )
    return await client.wait(job, on_progress=show)


async def save_all_three(client: AsyncClient, videos: dict[Path, str]) -> list[Path]:
    return await asyncio.gather(*(client.download_video(id, to=path) for path, id in videos.items()))


def ask_the_stub(client: Client) -> None:
    client.edit(video="video_xyz123", prompt="Make it rain.", provider="stub")


@frozen
class Made:
    """A line of the table at the end."""

    what: str
    where: str
    took: float
    size: int | None = None
    seconds: str | None = None
    prompt: str = ""
    id: str | None = None

    def row(self) -> list[str]:
        size = "" if self.size is None else size_of(self.size)
        return [self.what, self.where, size, f"{self.seconds} s" if self.seconds else "", f"{self.took:.1f} s"]


@define
class Stage:
    """Tells the story: says what comes next, shows its code, runs it, and says how long it took."""

    out: Path
    session: Session
    step: int = 0
    began: float = field(factory=time.monotonic)

    def say(self, words: str = "", **style: Any) -> None:
        if not self.session.json:
            click.secho(words, **style)

    def begin(self, title: str, how: str, function: Callable[..., Any] | None = None, name: str = "") -> None:
        """Say what comes next, and show the lines that do it. `name` is what they give back."""
        self.step += 1
        self.began = time.monotonic()
        self.say(f"\n{self.step}. {title}", bold=True, nl=False)
        self.say(f"  {how}", dim=True)
        if function is not None:
            self.say(textwrap.indent(body_of(function, name), "     "), fg="cyan")

    @contextmanager
    def watching(self, verb: str, file: str) -> Iterator[Show]:
        """Show how far a job is; whoever interrupts it is told how to go on."""
        with of_job(verb, quiet=self.session.json) as show:

            def look(video: Video) -> None:
                self.session.resumable("video", "wait", video.id, "--to", str(self.out / file))
                show(video)

            yield look

    def took(self) -> float:
        return time.monotonic() - self.began

    def made(self, what: str, video: Video, file: str) -> Made:
        """The table's line for a video, which is yet to be saved."""
        for warning in video.warnings or []:
            self.say(f"   warning: {warning}", fg="yellow")
        where = str(self.out / file)
        return Made(what, where, self.took(), None, video.seconds, video.prompt or "", video.id)


def body_of(function: Callable[..., Any], name: str) -> str:
    """The lines of a function without its head; what it returns is given a name, as a script would do."""
    head, *lines = inspect.getsource(function).splitlines()
    assert head.endswith(":"), "the head of a step is one line"
    return textwrap.dedent("\n".join(lines)).replace("return ", f"{name} = ")


@click.command(short_help="Make a series with a character from a real clip: no key, no network.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default="callsheet-demo", show_default=True,
    metavar="FOLDER", help="Where the files go.",
)  # fmt: skip
@click.option("--seconds", type=click.IntRange(1, 20), default=4, show_default=True, help="How long a scene is.")
@click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
    help="Where the provider keeps its data, if not at its usual place.",
)  # fmt: skip
@json_option
def demo(out: Path, seconds: int, data_dir: Path | None, json: bool) -> None:
    """Make a branded series: a character cut from a real clip stars in three videos.

    Creates the character, renders a scene, extends it, edits it, saves three MP4s and a contact sheet; then makes a
    realtime call over WebRTC and holds a short conversation. It shows the code of each step. Everything happens on this
    machine, in well under a minute.

    \b
    Examples:
      callsheet demo
      callsheet demo --out /tmp/series --seconds 8
    """
    began = time.monotonic()
    settings = {"data_dir": str(data_dir.absolute())} if data_dir else {}
    stage = Stage(out, Session(PROVIDER if settings else None, settings=settings, json=json))
    out.mkdir(parents=True, exist_ok=True)
    stage.say("Callsheet demo: a character cut from a real clip stars in three videos. No key, no network.", bold=True)
    stage.say(f'\n     from callsheet import AsyncClient, Client\n     client = Client("{MODEL}")', fg="cyan")
    with Client(MODEL, settings=settings) as client:
        bunny, scene = act_one(stage, client, seconds)
        videos = asyncio.run(act_two(stage, scene, seconds, settings))
        series = [bunny, *videos, contact_sheet(stage, videos)]
    said = talk(stage, settings)
    with Client(MODEL, settings=settings) as client:
        act_three(stage, client)
    if json:
        print_json([*map(asdict, series), *map(asdict, said)])
    else:
        curtain(stage, series, said, time.monotonic() - began)


def act_one(stage: Stage, client: Client, seconds: int) -> tuple[Made, Made]:
    """The character and the first scene, in sync code."""
    stage.begin("Create a character out of a 3 s clip", "Client, sync", create_character, "bunny")
    bunny = create_character(client)
    made = Made(f"character {bunny.name}", bunny.id, stage.took(), id=bunny.id)
    stage.say(f"   {bunny.id} in {made.took:.1f} s")
    stage.begin("Render a scene with it, and wait with progress", "Client, sync", render_a_scene, "scene")
    with stage.watching("rendering", FILES[0]) as show:
        scene = render_a_scene(client, bunny, seconds, show)
    return made, stage.made("scene 1", scene, FILES[0])


async def act_two(stage: Stage, scene: Made, seconds: int, settings: dict[str, str]) -> list[Made]:
    """What becomes of the scene, in async code."""
    assert scene.id is not None
    async with AsyncClient(MODEL, settings=settings) as client:
        stage.begin("Extend the scene", "AsyncClient, async", extend_it, "longer")
        with stage.watching("extending", FILES[1]) as show:
            longer = stage.made("scene 2, extended", await extend_it(client, scene.id, seconds, show), FILES[1])
        stage.begin("Edit the scene", "AsyncClient, async", edit_it, "graded")
        with stage.watching("editing", FILES[2]) as show:
            graded = stage.made("scene 1, graded", await edit_it(client, scene.id, show), FILES[2])
        stage.begin("Save all three at once", "AsyncClient, async", save_all_three, "paths")
        videos = [scene, longer, graded]
        paths = await save_all_three(client, {Path(made.where): made.id for made in videos if made.id})
    stage.say(f"   {', '.join(path.name for path in paths)} in {stage.took():.1f} s")
    return [evolve(made, size=path.stat().st_size) for made, path in zip(videos, paths, strict=True)]


def contact_sheet(stage: Stage, videos: list[Made]) -> Made:
    """Frames of the clip and of all videos, on one picture."""
    from callsheet_local.contact_sheet import Row, draw

    stage.begin("Draw a contact sheet", "from frames of the clip and of the three videos")
    rows = [Row(CLIP, "The clip that Bunny was cut from", CLIP.name)]
    rows += [Row(Path(m.where), f"{m.what.capitalize()}  ·  {m.seconds} s", m.prompt) for m in videos]
    path = draw(rows, "Bunny, a series in three videos", credit(), stage.out / "contact-sheet.png")
    stage.say(f"   {path}")
    return Made("contact sheet", str(path), stage.took(), path.stat().st_size)


def act_three(stage: Stage, client: Client) -> None:
    """What happens when a provider can't do something: it says so, by name, before anything is sent."""
    stage.begin("Ask a provider for what it does not do", "Client, sync", ask_the_stub)
    try:
        ask_the_stub(client)
    except UnsupportedOperation as refusal:
        stage.say(f"   UnsupportedOperation, a NotImplementedError: {refusal}")
    except UnknownProvider:
        stage.say("   The stub provider is not installed: with `pip install callsheet-stub` its refusal is shown here.")


def curtain(stage: Stage, series: list[Made], said: list[Said], seconds: float) -> None:
    """What was made, where, and what to do with it."""
    click.echo()
    rows = [made.row() for made in series] + [[one.what, one.where, "", "", f"{one.took:.1f} s"] for one in said]
    table(["made", "where", "size", "seconds", "took"], rows)
    bunny, scene = series[0].id or "", series[1].id or ""
    click.secho(f"\nAll of it in {seconds:.0f} s. {credit()}", dim=True)
    click.secho("\nTry next:", bold=True)
    prompt = "Bunny dances on the moon"
    for command in (
        stage.session.command("video", "generate", prompt, "--character", bunny, "--to", "moon.mp4"),
        stage.session.command("video", "edit", scene, "black and white", "--to", "noir.mp4"),
        "callsheet character create NAME YOUR-CLIP.mp4",
        "callsheet chat",
        "callsheet serve    # OpenAI's interface on this machine, with a realtime tester in the browser",
        "callsheet providers",
    ):
        click.echo(f"  {command}")


def credit() -> str:
    """Whose film the clip is from."""
    return (MEDIA / "CREDIT.txt").read_text(encoding="utf-8").splitlines()[0]
