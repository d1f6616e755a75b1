"""`codebrush`: what people start by name. Each command imports its own work only when it is asked.

`codebrush COMMAND --help` says what a command takes.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UserError

app = typer.Typer(
    help="Paint small pictures from lines of text, and show, check and share what paints them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Models = Annotated[
    str, typer.Option(help="The folder of a finished run, or owner/name on the Hugging Face Hub.")
]

Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1)]
Out = Annotated[Path, typer.Option(help="The folder of the pictures.")]
Guidance = Annotated[
    float | None, typer.Option(help="How far the text is followed; 1: as learned.")
]
Steps = Annotated[
    int | None, typer.Option(help="In which a diffusion prior draws; PixelSNAIL has no use for it.")
]


@app.command()
def paint(
    prompts: Annotated[list[str] | None, typer.Argument(help="What to paint.")] = None,
    *,
    file: Annotated[
        str, typer.Option("--file", "-f", help="Prompts, one a line; -: from standard input.")
    ] = "",
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Pictures of each prompt.")] = 1,
    seed: Seed = 0,
    out: Out = Path("paintings"),
    models: Models = "models",
    guidance: Guidance = None,
    temperature: Annotated[float | None, typer.Option(help="Less is calmer.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Only the likeliest codes that together reach it.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Only so many likeliest codes; 0: all.")] = None,
    candidates: Annotated[
        int | None, typer.Option(help="Drawn for each picture; BLIP's captioner picks one.")
    ] = None,
    steps: Steps = None,
    decoder_steps: Annotated[
        int | None, typer.Option(help="In which detail is drawn; 0: none is, pictures are soft.")
    ] = None,
    decoder_guidance: Annotated[
        float | None, typer.Option(help="How clear its shapes are made; 1: as learned.")
    ] = None,
) -> None:
    """Paint prompts; settings that are not given are those that the models were judged with."""
    from apps.painting import paint_files, read_prompts

    paint_files(
        [*(prompts or []), *(read_prompts(file) if file else [])],
        models=models,
        out=out,
        samples=n,
        seed=seed,
        changes={
            "guidance_scale": guidance,
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "candidates": candidates,
            "steps": steps,
            "decoder_steps": decoder_steps,
            "decoder_guidance": decoder_guidance,
        },
    )


@app.command()
def repaint(
    picture: Annotated[Path, typer.Argument(help="Of the side that the models paint.")],
    prompt: Annotated[str, typer.Argument(help="What the picture is to show.")],
    *,
    box: Annotated[
        str, typer.Option(metavar="X,Y,W,H", help="The area: left, top, width, height, in pixels.")
    ] = "",
    mask: Annotated[
        Path | None, typer.Option(help="Or a picture as large, white where it is painted anew.")
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Pictures.")] = 1,
    seed: Seed = 0,
    out: Out = Path("paintings"),
    models: Models = "models",
    guidance: Guidance = None,
    steps: Steps = None,
) -> None:
    """Paint an area of a picture anew; all else of it stays."""
    from apps.repainting import read_area, repaint_files

    repaint_files(
        picture,
        read_area(box, mask),
        prompt,
        models=models,
        out=out,
        samples=n,
        seed=seed,
        changes={"guidance_scale": guidance, "steps": steps},
    )


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A finished run.")] = Path(),
    *,
    out: Annotated[Path, typer.Option(help="The page.")] = Path("report.html"),
) -> None:
    """Write a run as one HTML file: figures, curves, pictures; it needs no network."""
    from apps.report.page import write_report

    write_report(folder, out)
    print(f"{out}  {out.stat().st_size / 1e6:.1f} MB")


@app.command()
def pictures(
    folder: Annotated[Path, typer.Argument(help="A new folder.")] = Path("pictures"),
    *,
    run: Annotated[Path, typer.Option(help="Whose pictures.")] = Path(),
) -> None:
    """Unpack the pictures that a run learns from, to look at them."""
    from apps.pictures import unpack

    print(f"{folder}  {unpack(run, folder)} pictures")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    *,
    models: Annotated[Path, typer.Option(help="Of a finished run.")] = Path("models"),
    push: Annotated[
        str, typer.Option(metavar="OWNER/NAME", help="Put it on the Hugging Face Hub, too.")
    ] = "",
    private: Annotated[
        bool, typer.Option("--private", help="Nobody else may see it there.")
    ] = False,
) -> None:
    """Write a folder that another machine paints from, to the same bytes, with a model card."""
    from apps import export as sharing

    sharing.export(models, folder)
    print(f"{folder}  {sharing.size_of(folder) / 1e6:.1f} MB")
    if push:
        print(sharing.push(folder, push, private=private))


@app.command()
def doctor(
    folder: Annotated[Path, typer.Argument(help="The repository.")] = Path(),
    *,
    measure: Annotated[bool, typer.Option(help="Do a few steps of each training.")] = True,
) -> None:
    """Say what this machine has, how long a run will take on it, and what would fail."""
    from apps.doctor.command import examine

    if not examine(folder, measure=measure):
        raise typer.Exit(1)


@app.command()
def demo(
    *,
    models: Annotated[
        list[str] | None,
        typer.Option(
            help="As of paint; given several times, the page has several painters to choose from. "
            "It computes as the first one's run did.",
            show_default="models",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="0.0.0.0: whoever reaches this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7860,
) -> None:
    """Serve a page to play with; it takes Gradio, the extra `demo`."""
    from apps.environment import compute_as_judged
    from pipeline.painter_folder import PainterFolder

    found = {name: PainterFolder.find(name) for name in models or ["models"]}
    first = next(iter(found.values()))
    compute_as_judged(first.threads, first.instruction_set)
    from apps.demo.page import serve
    from apps.demo.studio import Studio

    studios = [Studio(folder, name) for name, folder in found.items()]
    print(f"http://{host}:{port}  (Ctrl+C ends it)", flush=True)
    serve(studios, host=host, port=port)


def _passed_on(module: str) -> Callable[[typer.Context], None]:
    """A command of `python -m MODULE`, which reads its own arguments."""

    def command(context: typer.Context) -> None:
        sys.argv[0] = f"codebrush {context.info_name}"  # what its own help calls it
        raise typer.Exit(importlib.import_module(module).main(context.args))

    return command


AS_IT_STANDS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
for name, says in {
    "compare": "Show what moved between two runs, and what is mere chance.",
    "gate": "Fail unless dvc.lock and metrics/ are those of this tree.",
    "profile": "Print a profile as flags for `dvc exp run`.",
    "spread": "Run the same settings over seeds, to tell a difference from chance.",
}.items():
    app.command(name, help=says, context_settings=AS_IT_STANDS)(_passed_on(f"apps.{name}"))


def main() -> None:
    """Run a command; a user's mistake, or what a disk refuses, is one line and exit status 1."""
    try:
        app()
    except UserError as error:
        said = str(error)
    except OSError as error:
        if error.filename is None:
            raise
        said = f"{error.filename}: {error.strerror}"
    else:
        return
    print(f"error: {said}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
