"""`codebrush demo`: what a request may ask for, the page in a real browser, forged requests.

The studio needs no Gradio. The page is tested where the extra `demo` is installed, and in a browser
where Chromium and Playwright are: `python -m pytest tests/test_demo.py -rs` says what was skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import blips
import numpy as np
import pytest
from painters import write_painter
from tiny import ROOT

from apps.demo.studio import MAX_PICTURES, Studio
from pipeline.data.pairs import write_pairs
from pipeline.errors import UserError
from pipeline.painter_folder import PainterFolder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_gradio = pytest.mark.skipif(
    not find_spec("gradio"), reason="Gradio (the extra `demo`) is not installed here"
)
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and find_spec("playwright")), reason="Chromium or Playwright is not here"
)
DIALS = {"number": 1, "seed": 0, "guidance": 2.0, "temperature": 1.0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_painter(folder / "models")
    (folder / "data").mkdir()
    write_pairs(folder / "data/pairs.jsonl", blips.write_pairs_and_pictures(folder / "data/images"))
    (folder / "metrics").mkdir()
    (folder / "metrics/figures.tsv").write_text(
        "part\tmeasure\tvalue\tlow\thigh\tn\tbetter\npixels\tcopies.threshold\t0.01\t\t\t\tlower\n"
    )
    return folder


@pytest.fixture(scope="module")
def studio(run: Path) -> Studio:
    return Studio(PainterFolder.read(run / "models"), run)


def paint(studio: Studio, text, **changes):
    dials = {**DIALS, **changes}
    settings = studio.settings_of(guidance=dials["guidance"], temperature=dials["temperature"])
    return studio.paint(text, settings, number=dials["number"], seed=dials["seed"])


def test_each_line_is_painted_as_often_as_asked(studio):
    paintings = list(paint(studio, "A red square\n\nA blue square\n", number=2))
    assert [painting.sample for painting in paintings] == [0, 1, 0, 1]
    alone = next(iter(paint(studio, "A blue square")))
    assert np.array_equal(alone.image, paintings[2].image)


@pytest.mark.parametrize(
    ("text", "changes", "said"),
    [
        ("", {}, "nothing to paint"),
        ("x" * 10_000, {}, "10000 letters: at most 2000"),
        ("red " * 300, {}, "tokens, the text model takes at most 16"),
        ("\x00\x1b\u202e", {}, "prompt 1 is empty"),
        ("\ud800", {}, "not valid Unicode"),
        (None, {}, "prompts: expected text"),
        (["a"], {}, "prompts: expected text"),
        ("a\nb\nc", {"number": 7}, f"at most {MAX_PICTURES} at once"),
        ("a", {"number": 10**9}, "number = 1e+09: expected a number from 1 to 16"),
        ("a", {"number": 1.5}, "number = 1.5: expected a whole number"),
        ("a", {"number": True}, "number: expected a number"),
        ("a", {"seed": -1}, "seed = -1: expected a number from 0"),
        ("a", {"seed": None}, "seed: expected a number from 0"),
        ("a", {"guidance": float("nan")}, "guidance: expected a number from 0 to 8"),
        ("a", {"guidance": "2"}, "guidance: expected a number"),
        ("a", {"temperature": 0}, "temperature = 0: expected a number from 0.1 to 2"),
        ("a", {"temperature": {"a": 1}}, "temperature: expected a number"),
    ],
)
def test_whatever_cannot_be_painted_is_one_line_and_nothing_is_painted(studio, text, changes, said):
    with pytest.raises(UserError) as told:
        next(iter(paint(studio, text, **changes)))
    assert said in str(told.value)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 200


def test_a_training_picture_is_called_a_copy_and_noise_is_not(studio):
    found = studio.nearest(studio.training[3])
    assert np.array_equal(found.image, studio.training[3])
    assert "a copy, by a threshold of 0.010" in found.says
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert "no copy" in studio.nearest(noise).says


def test_without_training_pictures_or_a_measured_threshold_nothing_is_claimed(run, tmp_path):
    studio = Studio(PainterFolder.read(run / "models"), tmp_path)
    assert not studio.knows_training
    assert studio.threshold is None
    with pytest.raises(UserError, match="not on this machine"):
        studio.nearest(np.zeros((16, 16, 3), np.uint8))


def test_a_picture_of_the_page_says_what_it_was_painted_from(studio):
    settings = studio.settings_of(guidance=3.0, temperature=0.5)
    painting = next(studio.paint("A red square", settings, number=1, seed=5))
    facts = studio.png(painting, settings, seed=5).text
    told = json.loads(facts["settings"])
    assert told["guidance_scale"] == 3.0
    again = studio.painter.paint(facts["prompt"], seed=int(facts["seed"]), **told)[0]
    assert np.array_equal(again.image, painting.image)


@pytest.mark.skipif(bool(find_spec("gradio")), reason="Gradio is installed here")
def test_without_gradio_the_command_says_how_to_get_it(run):
    done = subprocess.run(
        [sys.executable, "-m", "apps.cli", "demo"], cwd=run, capture_output=True, text=True,
        timeout=100, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: the demo needs Gradio: pip install ")


@pytest.fixture(scope="module")
def url(run: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "apps.cli", "demo", "--port", str(port)],
        cwd=run, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 200
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the demo does not answer")


@needs_gradio
def test_the_page_listens_on_loopback_alone(url):
    port = int(url.rpartition(":")[2])
    for address in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}:
        if not address.startswith("127.") and ":" not in address:
            with socket.socket() as probe:
                assert probe.connect_ex((address, port)) != 0


@needs_gradio
@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (["x" * 10_000, 1, 0, 2.0, 1.0], "letters: at most 2000|exceeds"),
        (["a", 10**6, 0, 2.0, 1.0], "expected a number from 1 to 16|maximum"),
        (["a", 1, "x", 2.0, 1.0], "seed|number|could not convert"),
        (["<img src=x onerror=alert(1)> " * 9, 1, 0, 2.0, 1.0], "&lt;img src=x"),
    ],
)
def test_a_forged_request_gets_one_line_and_the_page_lives_on(url, request_, said):
    from gradio_client import Client

    client = Client(url, verbose=False, analytics_enabled=False)
    with pytest.raises(Exception) as told:  # noqa: PT011 of whatever kind the client has
        client.predict(*request_, api_name="/paint")
    line = str(told.value).splitlines()
    assert len(line) == 1
    assert re.search(said, line[0]), line[0]
    assert client.predict("A red square", 1, 0, 2.0, 1.0, api_name="/paint")[0]


@needs_gradio
@needs_browser
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_person_paints_and_asks_whether_it_was_copied(url, width, scheme, tmp_path):
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        elsewhere: list[str] = []
        page.on("request", lambda asked: elsewhere.append(asked.url))
        page.goto(url)
        page.get_by_label("Prompts, one a line").fill("A red square\nA blue square")
        page.get_by_role("button", name="Paint", exact=True).click()
        pictures = page.locator(".pictures .thumbnail-item img")
        expect(pictures).to_have_count(4, timeout=60_000)
        pictures.first.click()
        verdict = page.get_by_label("Has it copied?")
        expect(verdict).to_have_value(re.compile("Distance 0"), timeout=60_000)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_label("Prompts, one a line").fill("\u202e")
        page.get_by_role("button", name="Paint", exact=True).click()
        expect(page.get_by_text("prompt 1 is empty")).to_be_visible(timeout=60_000)
        browser.close()
    assert all(asked.startswith((url, "data:", "blob:")) for asked in elsewhere)


def test_the_demos_versions_are_the_runs_but_for_the_two_that_gradio_wants_older():
    run, demo = (
        dict(line.split("==") for line in (ROOT / name).read_text().splitlines() if "==" in line)
        for name in ("constraints.txt", "constraints-demo.txt")
    )
    assert {name for name in run if demo.get(name) != run[name]} == {"pillow", "tomlkit"}
    assert "gradio" in demo
