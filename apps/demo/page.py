"""The page, by Gradio: prompts and dials, a gallery, the training picture nearest to one of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from typing import Any

from apps.demo.studio import GUIDANCE, MAX_LETTERS, MAX_PICTURES, TEMPERATURE, Studio
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

QUEUE = 20  # requests that wait; a further one is told that the page is busy
KEPT = 600  # seconds that a painted picture stays on the disk
SESSIONS = 100  # whose last pictures are remembered
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "painter"}
FONTS = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
CSS = """
img { image-rendering: pixelated }
.pictures .grid-container { grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)) !important }
.nearest img { width: 100%; height: 100%; object-fit: contain }
"""
FIRST = "Blue ship in a storm at night\nThree yellow birds perched at dawn"
REPAINTING = "A part of a picture is painted anew from the shell: `codebrush repaint`."


def page(studio: Studio) -> gr.Blocks:
    """Build the page."""
    settings = studio.settings

    def paint(
        text: Any, number: Any, seed: Any, guidance: Any, temperature: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 Gradio finds it by this default
    ) -> Iterator[tuple[Any, Any, Any, Any]]:  # fmt: skip
        shown, originals = [], []
        progress(0, desc="reading the prompts")
        try:
            wanted = studio.settings_of(guidance=guidance, temperature=temperature)
            paintings = studio.paint(text, wanted, number=number, seed=seed)
            total = len(text.splitlines()) * number if isinstance(text, str) else 1
            for done, painting in enumerate(paintings, start=1):
                caption = f"{painting.match:.2f} {painting.prompt}"
                shown.append((studio.png(painting, wanted, seed=int(seed)), caption))
                originals.append(painting.image)
                progress(min(1.0, done / total), desc=f"{done} painted")
                yield shown, originals, None, ""
        except UserError as error:
            raise _told(error) from None

    def nearest(originals: Any, event: gr.SelectData) -> tuple[Any, str]:
        try:
            found = studio.nearest(originals[_index(event, len(originals or []))])
        except UserError as error:
            raise _told(error) from None
        return found.image, found.says

    with gr.Blocks(title="Codebrush", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as built:
        gr.Markdown("# Codebrush\nSmall pictures from lines of text.")
        originals = gr.State([], time_to_live=KEPT)
        with gr.Row():
            with gr.Column(scale=1):
                text = gr.Textbox(
                    FIRST, label="Prompts, one a line", lines=4, max_length=MAX_LETTERS
                )
                number = gr.Slider(1, MAX_PICTURES, 2, step=1, label="Pictures of each")
                seed = gr.Number(0, label="Seed")  # without limits: the studio tells them better
                guidance = gr.Slider(
                    *GUIDANCE, settings.guidance_scale, step=0.1, label="Guidance by the text"
                )
                temperature = gr.Slider(
                    *TEMPERATURE, settings.temperature, step=0.05, label="Temperature"
                )
                button = gr.Button("Paint", variant="primary")
            with gr.Column(scale=2):
                gallery = gr.Gallery(
                    label="Painted: BLIP's match from 0 to 1, and the prompt",
                    elem_classes="pictures",
                    buttons=["download", "fullscreen"],
                    format="png",
                    object_fit="contain",
                    interactive=False,
                )
                with gr.Row(visible=studio.knows_training):
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
                gr.Markdown(REPAINTING)
        dials = [text, number, seed, guidance, temperature]
        results = [gallery, originals, closest, verdict]
        gr.on([button.click], paint, dials, results, api_name="paint", **ONE_AT_A_TIME)
        if studio.knows_training:
            gallery.select(
                nearest, [originals], [closest, verdict], api_name=False, **ONE_AT_A_TIME
            )
    built.queue(max_size=QUEUE, default_concurrency_limit=1)
    return built


def serve(studio: Studio, *, host: str, port: int, wait: bool = True) -> str:
    """Serve the page; returns its address, or waits until it is interrupted."""
    normal, mono = FONTS
    try:
        _, url, _ = page(studio).launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            max_threads=8,
            max_file_size="1kb",  # nothing is sent to it
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


def _told(error: UserError) -> gr.Error:
    """One clear message; Gradio would take it for HTML."""
    return gr.Error(escape(str(error)), title="Not painted", print_exception=False)


def _index(event: gr.SelectData, count: int) -> int:
    index = event.index
    if not isinstance(index, int) or not 0 <= index < count:
        raise UserError("open a picture that was painted just now")
    return index
