"""The page, by Gradio: prompts and dials, a gallery, what becomes of a picture that is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from typing import Any

from apps.demo.asked import MAX_LETTERS, MAX_PICTURES, whole
from apps.demo.studio import Shown, Studio, named, picked
from pipeline.errors import UserError

# Nothing of the page comes from elsewhere, nor does anything of its use go there.
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}

try:
    import gradio as gr
except ImportError:
    raise UserError(
        "the demo needs Gradio: pip install -c constraints-demo.txt -e '.[demo]', in an "
        "environment of its own"
    ) from None

from apps.demo.canvas import canvas, with_cells, with_picture

QUEUE = 20  # requests that wait; a further one is told that the page is busy
KEPT = 600  # seconds that a painted picture stays on the disk
SESSIONS = 100  # whose last pictures are remembered
MAX_SHOWN = 64  # pictures of a session
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "painter"}
FONTS = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
CSS = """
img { image-rendering: pixelated }
.pictures .grid-container { grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)) !important }
.wrap:has(> span.error) { display: none !important }  /* the message says it; this hides pictures */
.pictures .preview .caption { max-width: 100%; white-space: normal !important; text-align: center }
.nearest img { width: 100%; height: 100%; object-fit: contain }
"""
FIRST = "Blue ship in a storm at night\nThree yellow birds perched at dawn"


def page(studios: list[Studio]) -> gr.Blocks:
    """Build the page of painters, the first of which is chosen."""
    first = studios[0]
    compared = any(studio.training.here for studio in studios)

    def paint(
        text: Any, number: Any, seed: Any, guidance: Any, temperature: Any, steps: Any, prior: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 Gradio finds it by this default
    ) -> Iterator[tuple[Any, ...]]:  # fmt: skip
        shown: list[Shown] = []
        progress(0, desc="reading the prompts")
        try:
            studio = named(studios, prior)
            wanted = studio.settings_of(guidance=guidance, temperature=temperature, steps=steps)
            total = len(text.splitlines()) * number if isinstance(text, str) else 1
            for done, one in enumerate(
                studio.paint(text, wanted, number=number, seed=seed), start=1
            ):
                shown.append(one)
                progress(min(1.0, done / total), desc=f"{done} painted")
                if done == 1:
                    begun = gr.Gallery(_gallery(shown), selected_index=None)
                    yield begun, shown, None, with_picture("", 0, 1), None, ""
                else:  # a person may have opened one of them since
                    yield _gallery(shown), shown, *[gr.skip()] * 4
        except UserError as error:
            raise _told(error) from None

    def opened(shown: Any, prior: Any, event: gr.SelectData) -> tuple[Any, ...]:
        try:
            return _open(picked(shown, event.index), named(studios, prior))
        except UserError as error:
            raise _told(error) from None

    def repaint(
        shown: Any, one: Shown | None, mask: Any, text: Any, number: Any, seed: Any, guidance: Any,
        temperature: Any, steps: Any, prior: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 Gradio finds it by this default
    ) -> tuple[Any, ...]:  # fmt: skip
        progress(0, desc="painting the area")
        try:
            studio = named(studios, prior)
            wanted = studio.settings_of(guidance=guidance, temperature=temperature, steps=steps)
            if one is None:
                raise UserError("open a picture that was painted just now")
            if len(shown) + whole("number", number, 1, MAX_PICTURES) > MAX_SHOWN:
                raise UserError(f"at most {MAX_SHOWN} pictures are shown: paint, to begin again")
            anew = studio.repaint(one.image, mask, text, wanted, number=number, seed=seed)
        except UserError as error:
            raise _told(error) from None
        every = [*shown, *anew]
        pictures = gr.Gallery(_gallery(every), selected_index=len(shown))
        return pictures, every, *_open(anew[0], studio), None, ""

    def nearest(one: Shown | None) -> tuple[Any, str]:
        if one is None:  # closed by what was painted since
            return None, ""
        try:
            found = named(studios, one.painter).training.nearest(one.image)
        except UserError as error:
            return None, f"Unknown: {error}."
        return found.image, found.says

    def dials_of(prior: Any) -> tuple[Any, ...]:
        try:
            studio = named(studios, prior)
        except UserError as error:
            raise _told(error) from None
        judged = studio.settings
        return (
            _dial(judged.guidance_scale, studio.guidance),
            _dial(judged.temperature, studio.temperature),
            _dial(judged.steps, studio.steps, visible=studio.in_steps),
            with_cells(studio.cells[0]),
            studio.repaints,
        )

    with gr.Blocks(title="Codebrush", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as built:
        gr.Markdown("# Codebrush\nSmall pictures from lines of text.")
        shown = gr.State([], time_to_live=KEPT)
        # What is open is the session's, as what is shown: a browser's number of it could be of
        # pictures that others have replaced by the time the request is served.
        one = gr.State(None, time_to_live=KEPT)
        with gr.Row():
            with gr.Column(scale=1):
                text = gr.Textbox(
                    FIRST, label="Prompts, one a line", lines=4, max_length=MAX_LETTERS
                )
                prior = gr.Radio(
                    [studio.label for studio in studios],
                    value=first.label,
                    label="Prior",
                    visible=len(studios) > 1,
                )
                number = gr.Slider(1, MAX_PICTURES, 2, step=1, label="Pictures of each")
                seed = gr.Number(0, label="Seed")  # without limits: the studio tells them better
                guidance = gr.Slider(
                    *first.guidance,
                    first.settings.guidance_scale,
                    step=0.1,
                    label="Guidance by the text",
                )
                temperature = gr.Slider(
                    *first.temperature,
                    first.settings.temperature,
                    step=0.05,
                    label="Temperature",
                )
                steps = gr.Slider(
                    *first.steps,
                    first.settings.steps,
                    step=1,
                    label="Steps of the prior",
                    visible=first.in_steps,
                )
                button = gr.Button("Paint", variant="primary")
            with gr.Column(scale=2):
                gallery = gr.Gallery(
                    label="Painted: how likely a caption its prompt is to BLIP, 0 to 1; the prompt",
                    elem_classes="pictures",
                    buttons=["download", "fullscreen"],
                    format="png",
                    object_fit="contain",
                    interactive=False,
                )
                with gr.Row(visible=compared):
                    closest = gr.Image(
                        label="Nearest training picture",
                        elem_classes="nearest",
                        buttons=["fullscreen"],
                        interactive=False,
                        format="png",
                        height=200,
                    )
                    verdict = gr.Textbox(
                        "Open a picture to see the training picture nearest to it.",
                        label="Has it copied?",
                        interactive=False,
                        lines=3,
                    )
                gr.Markdown("## Paint an area anew")
                with gr.Row():
                    with gr.Column(min_width=280):
                        area = canvas(first.cells[0])
                    with gr.Column(min_width=280):
                        anew = gr.Textbox(
                            label="What the picture is to show", max_length=MAX_LETTERS
                        )
                        repaint_button = gr.Button("Paint the area anew")
                        gr.Markdown("Number, seed and the other dials hold here, too.")
                        repaints = gr.Markdown(first.repaints)
        dials = [number, seed, guidance, temperature, steps, prior]
        gr.on(
            [button.click],
            paint,
            [text, *dials],
            [gallery, shown, one, area, closest, verdict],
            api_name="paint",
            show_progress_on=[gallery],
            **ONE_AT_A_TIME,
        )
        gr.on(
            [repaint_button.click],
            repaint,
            [shown, one, area, anew, *dials],
            [gallery, shown, one, area, anew, closest, verdict],
            api_name="repaint",
            show_progress_on=[gallery],
            **ONE_AT_A_TIME,
        )
        at_once: dict[str, Any] = {"queue": False, "api_visibility": "undocumented"}
        opening = gallery.select(
            opened, [shown, prior], [one, area, anew], api_name="open", **at_once
        )
        if compared:
            opening.success(nearest, [one], [closest, verdict], api_name=False, **ONE_AT_A_TIME)
        prior.change(
            dials_of,
            [prior],
            [guidance, temperature, steps, area, repaints],
            api_name="dials",
            **at_once,
        )
    built.queue(max_size=QUEUE, default_concurrency_limit=1)
    return built


def max_body(studios: list[Studio]) -> int:
    """Bytes of a request: room for the longest prompts beside the mask of the largest picture."""
    side = max(studio.painter.image_size for studio in studios)
    return max(64 * 1024, 32 * 1024 + side * side // 4)


def serve(studios: list[Studio], *, host: str, port: int, wait: bool = True) -> str:
    """Serve the page; returns its address, or waits until it is interrupted."""
    normal, mono = FONTS
    try:
        _, url, _ = page(studios).launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            max_threads=8,
            max_file_size="1kb",  # no file is sent to it: a mask is text
            app_kwargs={"max_body_size": max_body(studios)},
            state_session_capacity=SESSIONS,
            allowed_paths=[],
            footer_links=[],
            ssr_mode=False,
            theme=gr.themes.Default(font=normal, font_mono=mono),
            css=CSS,
            prevent_thread_lock=not wait,
        )
    except OSError as error:
        raise UserError(f"{host}:{port}: {' '.join(str(error).split())}") from None
    return str(url)


def _gallery(shown: list[Shown]) -> list[tuple[Any, str]]:
    return [(one.png, one.caption) for one in shown]


def _open(one: Shown, studio: Studio) -> tuple[Any, ...]:
    """What opens a picture: itself, the canvas with it, its prompt."""
    return one, with_picture(one.data_url, len(one.image), studio.cells[0]), one.prompt


def _dial(value: float, limits: tuple[float, float], *, visible: bool = True) -> gr.Slider:
    return gr.Slider(*limits, value, visible=visible)


def _told(error: UserError) -> gr.Error:
    """One clear message; Gradio would take it for HTML."""
    return gr.Error(escape(str(error)), title="Not painted", print_exception=False)
