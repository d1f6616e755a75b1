"""`codebrush demo`: what a request may ask for, the page in a real browser, forged requests.

The studio needs no Gradio. The page is tested where the extra `demo` is installed, and in a browser
where Chromium and Playwright are: `python -m pytest tests/test_demo.py -rs` says what was skipped.
"""

from __future__ import annotations

import io
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
from types import SimpleNamespace

import blips
import numpy as np
import pytest
import requests
from demo_clients import open_picture
from painters import write_painter
from PIL import Image
from tiny import ROOT

from apps.demo.asked import MAX_PICTURES, area_of
from apps.demo.copied import TrainingPictures
from apps.demo.studio import Studio, named, picked
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
DIALS = {"number": 1, "seed": 0, "guidance": 2.0, "temperature": 1.0, "steps": 2}
SIDE, CELL = 16, 4  # of the small painters
HALF = "00" * (SIDE * SIDE // 16) + "ff" * (SIDE * SIDE // 16)  # a mask of the lower half
OTHER = "diffusion (other)"
SERVED = ["--models", "models", "--models", "other"]
CORNER = "f000" * 4 + "0000" * 12  # of the first cell


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_painter(folder / "models")
    write_painter(folder / "other", family="diffusion", steps=4, guidance_scale=3.0)
    (folder / "data").mkdir()
    write_pairs(folder / "data/pairs.jsonl", blips.write_pairs_and_pictures(folder / "images"))
    blips.pixels_of(folder / "images", folder / "data/pixels/vqvae")
    (folder / "metrics").mkdir()
    (folder / "metrics/figures.tsv").write_text(
        "part\tmeasure\tvalue\tlow\thigh\tn\tbetter\npixels\tcopies.threshold\t0.01\t\t\t\tlower\n"
    )
    return folder


@pytest.fixture(scope="module")
def studios(run: Path) -> list[Studio]:
    return [Studio(PainterFolder.read(run / name), name) for name in ("models", "other")]


@pytest.fixture(scope="module")
def studio(studios: list[Studio]) -> Studio:
    return studios[0]


@pytest.fixture(scope="module")
def training(studio: Studio) -> TrainingPictures:
    return studio.training


def settings_of(studio: Studio, dials):
    return studio.settings_of(**{k: dials[k] for k in ("guidance", "temperature", "steps")})


def paint(studio: Studio, text, **changes):
    dials = {**DIALS, **changes}
    settings = settings_of(studio, dials)
    return studio.paint(text, settings, number=dials["number"], seed=dials["seed"])


def repaint(studio: Studio, picture, mask, text="A red square", **changes):
    dials = {**DIALS, **changes}
    settings = settings_of(studio, dials)
    return studio.repaint(picture, mask, text, settings, number=dials["number"], seed=dials["seed"])


def test_each_line_is_painted_as_often_as_asked(studio):
    shown = list(paint(studio, "A red square\n\nA blue square\n", number=2))
    assert [one.prompt for one in shown] == ["A red square"] * 2 + ["A blue square"] * 2
    assert [one.png.text["sample"] for one in shown] == ["0", "1", "0", "1"]
    alone = next(iter(paint(studio, "A blue square")))
    assert np.array_equal(alone.image, shown[2].image)
    assert all(one.image.base is None for one in shown)  # else it would keep its candidates


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
        ("a", {"seed": 10**400}, "seed: expected a number from 0"),
        ("a", {"seed": -(10**400)}, "seed: expected a number from 0"),
        ("a", {"guidance": float("-inf")}, "guidance: expected a number from 0 to 8"),
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


def test_a_training_picture_is_called_a_copy_and_noise_is_not(training):
    views = training.views(SIDE)
    found = training.nearest(views[3])
    assert np.array_equal(found.image, views[3])
    assert "a copy, by a threshold of 0.010" in found.says
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    assert "no copy" in training.nearest(noise).says


def test_without_training_pictures_or_a_measured_threshold_nothing_is_claimed(tmp_path):
    training = TrainingPictures(tmp_path)
    assert not training.here
    assert training.threshold is None
    with pytest.raises(UserError, match="learned from are not here"):
        training.nearest(np.zeros((SIDE, SIDE, 3), np.uint8))


def test_a_painters_pictures_are_those_beside_its_own_models_from_wherever_it_is_loaded(
    studios, run, tmp_path, monkeypatch
):
    """`other` lies in the same folder, as an export may; what it learned from is not known."""
    assert [one.training.run for one in studios] == [run.resolve(), None]
    assert not studios[1].training.here
    with pytest.raises(UserError, match="learned from are not here"):
        studios[1].training.nearest(np.zeros((SIDE, SIDE, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linked").symlink_to(run / "models")
    assert TrainingPictures.of(PainterFolder.read("linked")).run == run.resolve()


def test_what_a_painter_was_judged_with_may_be_asked_for(tmp_path):
    judged = {"steps": 100, "guidance_scale": 12.0, "temperature": 0.05}
    write_painter(tmp_path, family="diffusion", **judged)
    studio = Studio(PainterFolder.read(tmp_path), "wide")
    wanted = studio.settings_of(guidance=12.0, temperature=0.05, steps=100)
    assert wanted == studio.settings
    assert (studio.guidance, studio.temperature) == ((0.0, 12.0), (0.05, 2.0))
    with pytest.raises(UserError, match="steps = 101: expected a number from 1 to 100"):
        studio.settings_of(guidance=12.0, temperature=0.05, steps=101)


@pytest.mark.parametrize("number", [0, 1])
def test_a_picture_of_the_page_says_what_it_was_painted_from(studios, number):
    studio = studios[number]
    one = next(paint(studio, "A red square", guidance=3.0, temperature=0.5, seed=5, steps=2))
    facts = one.png.text
    told = json.loads(facts["settings"])
    assert told["guidance_scale"] == 3.0
    assert told["steps"] == (3, 2)[number]  # PixelSNAIL reads no steps: its own stay
    assert facts["models"] == studio.found.fingerprint
    again = studio.painter.paint(facts["prompt"], seed=int(facts["seed"]), **told)[0]
    assert np.array_equal(again.image, one.image)
    assert facts["candidate"] == str(again.chosen)
    assert one.painter == studio.label


def test_each_prior_paints_anew_what_it_can_and_leaves_the_rest(studios):
    in_order, in_any = studios
    picture = next(paint(in_order, "A blue square")).image
    for studio, mask in ((in_order, HALF), (in_any, HALF), (in_any, CORNER)):
        (one,) = repaint(studio, picture, mask)
        changed = (one.image != picture).any(axis=-1)
        area = area_of(mask, SIDE)
        assert changed[area].any()
        assert not changed[~area].any()
        assert one.png.text["repainted"] == f"{area.sum()} pixels of another picture"
        assert "(repainted)" in one.caption
    with pytest.raises(UserError, match="row by row"):
        repaint(in_order, picture, CORNER)


def test_the_page_says_which_area_each_prior_paints_and_by_which_cells(studios):
    assert [studio.label for studio in studios] == ["pixelsnail (models)", "diffusion (other)"]
    assert "only **a picture's end**" in studios[0].repaints
    assert "**any area**" in studios[1].repaints
    assert all("4 × 4 pixels" in studio.repaints for studio in studios)
    assert [studio.cells for studio in studios] == [[CELL], [CELL]]


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (None, "no area is marked"),
        ("", "no area is marked"),
        ("0" * 64, "no area is marked"),
        ("f" * 63, "the mask: expected 64 hexadecimal digits"),
        ("f" * 10**7, "the mask: expected 64"),
        ("g" * 64, "the mask: expected 64"),
        ("f" * 62 + "  ", "the mask: expected 64"),
        ("\ud800" * 64, "the mask: expected 64"),
        ("٣" * 64, "the mask: expected 64"),
        (64, "the mask: expected 64"),
        (True, "the mask: expected 64"),
        (["f"] * 64, "the mask: expected 64"),
        ({"layers": []}, "the mask: expected 64"),
    ],
)
def test_whatever_is_no_mask_is_one_line(studios, mask, said):
    with pytest.raises(UserError) as told:
        repaint(studios[1], np.zeros((SIDE, SIDE, 3), np.uint8), mask)
    assert str(told.value).startswith(said)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": "a\nb"}, "by one line of text"),
        ({"text": None}, "prompts: expected text"),
        ({"text": "\x00"}, "prompt 1 is empty"),
        ({"number": 17}, "number = 17"),
        ({"steps": 65}, "steps = 65: expected a number from 1 to 64"),
        ({"steps": 1.5}, "steps = 1.5: expected a whole number"),
        ({"steps": "x"}, "steps: expected a number"),
        ({"picture": np.zeros((8, 8, 3), np.uint8)}, "8 pixels wide, diffusion .other. paints 16"),
    ],
)
def test_whatever_cannot_be_painted_anew_is_one_line(studios, changes, said):
    given = {"picture": np.zeros((SIDE, SIDE, 3), np.uint8), "mask": CORNER, **changes}
    with pytest.raises(UserError, match=said):
        repaint(studios[1], **given)


@pytest.mark.parametrize("index", [-1, 2, 0.5, float("nan"), None, "0", [0], {}])
def test_a_picture_that_is_not_shown_cannot_be_opened(index):
    with pytest.raises(UserError, match="painted just now"):
        picked(["one", "two"], index)
    with pytest.raises(UserError, match="painted just now"):
        picked(None, 0)


@pytest.mark.parametrize("label", ["", None, 0, ["pixelsnail (models)"]])
def test_a_prior_that_is_not_there_cannot_be_chosen(studios, label):
    with pytest.raises(UserError, match=re.escape("pixelsnail (models) or diffusion (other)")):
        named(studios, label)


@pytest.fixture(scope="module")
def handlers(studios: list[Studio]):
    """What the page does, by name, without a server."""
    from apps.demo.page import page

    return {one.api_name: one.fn for one in page(studios).fns.values() if one.api_name}


@needs_gradio
def test_what_was_open_is_closed_by_the_first_new_picture_alone(handlers, studio):
    """A person may open one of them while the others are painted."""
    first, *others = handlers["paint"]("A red square", 3, *list(DIALS.values())[1:], studio.label)
    assert first[0].constructor_args["selected_index"] is None
    assert first[2] is None
    assert first[4:] == (None, "")
    assert len(others) == 2
    for after in others:
        assert all(one == {"__type__": "update"} for one in after[2:])


@needs_gradio
def test_a_repainted_picture_is_the_open_one_and_nothing_is_said_of_the_one_before(
    handlers, studios
):
    _, other = studios
    picture = next(paint(studios[0], "A blue square"))
    dials = [*DIALS.values(), other.label]
    gallery, shown, one, area, text, *said = handlers["repaint"](
        [picture], picture, CORNER, "A red square", *dials
    )
    assert gallery.constructor_args["selected_index"] == 1
    assert shown == [picture, one]
    assert area.constructor_args["picture"] == one.data_url
    assert text == "A red square"
    assert said == [None, ""]
    assert one.painter == other.label


@needs_gradio
@pytest.mark.parametrize(
    ("count", "number", "said"),
    [(60, 5, "at most 64"), (0, 10**400, "number: expected"), (64, "x", "number: expected")],
)
def test_what_a_session_cannot_keep_is_not_painted(
    handlers, studio, monkeypatch, count, number, said
):
    picture = next(paint(studio, "A blue square"))
    monkeypatch.setattr(studio.painter, "repaint", lambda *_, **__: pytest.fail("it was painted"))
    dials = [number, *list(DIALS.values())[1:], studio.label]
    with pytest.raises(Exception, match=said):
        handlers["repaint"]([picture] * count, picture, HALF, "A red square", *dials)


@needs_gradio
def test_a_request_has_room_for_the_mask_of_the_largest_painter():
    from apps.demo.page import max_body

    def sized(side: int) -> SimpleNamespace:
        return SimpleNamespace(painter=SimpleNamespace(image_size=side))

    assert max_body([sized(64)]) == 64 * 1024
    longest = {"data": ["f" * (512 * 512 // 4), "\U0001f600" * 2000, *DIALS.values(), OTHER]}
    assert max_body([sized(512), sized(64)]) > len(json.dumps(longest)) + 1024


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
        [sys.executable, "-m", "apps.cli", "demo", "--port", str(port), *SERVED],
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
        (["a", 1, 0, 2.0, 1.0, 4, "none"], "none"),
        (["a", 1, 0, 2.0, 1.0, 0, OTHER], "steps|minimum"),
    ],
)
def test_a_forged_request_gets_one_line_and_the_page_lives_on(url, request_, said):
    client = _client(url)
    _refused(client, request_, "/paint", said)
    assert client.predict("A red square", 1, 0, 2.0, 1.0, api_name="/paint")[0]["value"]


def _client(url: str):
    from gradio_client import Client

    patient = {"timeout": 120}  # its own five seconds are too few for a machine that is busy
    return Client(url, verbose=False, analytics_enabled=False, httpx_kwargs=patient)


def _refused(client, request, name: str, said: str) -> None:
    with pytest.raises(Exception) as told:  # noqa: PT011 of whatever kind the client has
        client.predict(*request, api_name=name)
    line = str(told.value).splitlines()
    assert len(line) == 1
    assert re.search(said, line[0]), line[0]


@needs_gradio
@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (None, "no area is marked"),
        ("f" * 65, "the mask: expected 64"),
        (7, "the mask: expected 64"),
        ({"path": "/etc/passwd"}, "the mask: expected 64"),
    ],
)
def test_a_forged_mask_gets_one_line_and_the_page_lives_on(url, mask, said):
    client = _client(url)
    dials = [1, 0, 2.0, 1.0, 2, OTHER]
    client.predict("A red square", *dials, api_name="/paint")
    assert open_picture(client, 0, OTHER).ok
    _refused(client, [mask, "A red square", *dials], "/repaint", said)
    anew = client.predict(CORNER, "A blue square", *dials, api_name="/repaint")
    assert len(anew[0]["value"]) == 2


@needs_gradio
def test_a_picture_that_is_not_ones_own_cannot_be_opened_and_a_new_painting_closes_it(url):
    client = _client(url)
    dials = [1, 0, 2.0, 1.0, 2, OTHER]
    again = [CORNER, "A blue square", *dials]
    _refused(client, again, "/repaint", "painted just now")
    client.predict("A red square", *dials, api_name="/paint")
    for forged in (1, -1, None, "x", {}, 10**400):
        assert "painted just now" in open_picture(client, forged, OTHER).text
    _refused(client, again, "/repaint", "painted just now")
    assert open_picture(client, 0, OTHER).ok
    client.predict("A blue square", *dials, api_name="/paint")
    _refused(client, again, "/repaint", "painted just now")


@needs_gradio
def test_a_request_takes_the_largest_mask_and_nothing_larger(url):
    """The longest prompts, as JSON writes them at worst, beside the mask of 256 pixels a side."""
    dials = [1, 0, 2.0, 1.0, 2, OTHER]
    longest = json.dumps({"data": ["f" * (256 * 256 // 4), "\u202e" * 2000, *dials]})
    for body, status in ((longest, 200), (longest + " " * 64 * 1024, 413)):
        told = requests.post(
            f"{url}/gradio_api/call/repaint",
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        assert told.status_code == status, told.text
    chunks = iter([b"x" * 65536] * 2)  # whose length no header tells
    assert requests.post(f"{url}/gradio_api/queue/join", data=chunks, timeout=60).status_code == 413
    sent = requests.post(
        f"{url}/gradio_api/upload", files={"files": ("a.png", b"x" * 2048)}, timeout=60
    )
    assert sent.status_code == 413


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=100_000)  # milliseconds; on a machine that is busy
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def _page(browser, url: str, asked: list[str] | None = None, *, width=1280, scheme="light"):
    """The demo in a window of its own; what it asks for is added to `asked`."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.set_default_timeout(100_000)  # milliseconds; on a machine that is busy
    if asked is not None:
        page.on("request", lambda one: asked.append(one.url))
    page.goto(url)
    return page


SCREENS = [(390, "dark"), (1280, "light")]


@needs_gradio
@needs_browser
@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_a_person_paints_and_asks_whether_it_was_copied(url, browser, width, scheme):
    from playwright.sync_api import expect

    elsewhere: list[str] = []
    page = _page(browser, url, elsewhere, width=width, scheme=scheme)
    page.get_by_label("Prompts, one a line").fill("A red square\nA blue square")
    page.get_by_role("button", name="Paint", exact=True).click()
    pictures = page.locator(".pictures .grid-container img")
    expect(pictures).to_have_count(4)
    pictures.first.click()
    verdict = page.get_by_label("Has it copied?")
    expect(verdict).to_have_value(re.compile("Distance 0"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("Prompts, one a line").fill("\u202e")
    page.get_by_role("button", name="Paint", exact=True).click()
    expect(page.get_by_text("prompt 1 is empty")).to_be_visible()
    assert all(asked.startswith((url, "data:", "blob:")) for asked in elsewhere)
    page.close()


@needs_gradio
@needs_browser
@pytest.mark.parametrize(
    ("width", "scheme", "prior", "strokes"),
    [
        (*SCREENS[0], OTHER, [((0.3, 0.3), (0.45, 0.4))]),
        (*SCREENS[1], "pixelsnail (models)", [((0.02, y), (0.98, y)) for y in (0.625, 0.875)]),
    ],
)
def test_an_area_marked_by_the_mouse_is_painted_anew(url, browser, width, scheme, prior, strokes):
    from playwright.sync_api import expect

    page = _page(browser, url, width=width, scheme=scheme)
    page.get_by_label(prior).check()
    page.get_by_label("Prompts, one a line").fill("A red square")
    page.get_by_role("button", name="Paint", exact=True).click()
    pictures = page.locator(".pictures .grid-container img")
    expect(pictures).to_have_count(2)
    page.get_by_role("button", name="Paint the area anew").click()
    expect(page.get_by_text("open a picture that was painted")).to_be_visible()
    pictures.nth(1).click()
    expect(page.get_by_label("What the picture is to show")).to_have_value("A red square")
    page.get_by_role("button", name="Paint the area anew").click()
    expect(page.get_by_text("no area is marked")).to_be_visible()
    for stroke in strokes:
        _drag(page, *stroke)
    page.get_by_role("button", name="Paint the area anew").click()
    expect(pictures).to_have_count(4)
    _, before, *anew = (_pixels(page, picture) for picture in pictures.all())
    marked = np.logical_or.reduce([_marked(*stroke) for stroke in strokes])
    for after in anew:
        changed = (after != before).any(axis=-1)
        assert changed[marked].any()
        assert not changed[~marked].any()
    assert not np.array_equal(*anew)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()


@needs_gradio
@needs_browser
def test_what_one_prior_refuses_the_other_paints_by_the_same_marks(url, browser):
    from playwright.sync_api import expect

    page = _page(browser, url)
    page.get_by_label("Prompts, one a line").fill("A red square")
    page.get_by_role("button", name="Paint", exact=True).click()
    pictures = page.locator(".pictures .grid-container img")
    expect(pictures).to_have_count(2)
    pictures.first.click()
    expect(page.get_by_label("What the picture is to show")).to_have_value("A red square")
    page.get_by_role("button", name="Mark the lower half").click()
    page.get_by_role("button", name="Clear the marks").click()
    _drag(page, (0.2, 0.2), (0.3, 0.2))
    anew = page.get_by_role("button", name="Paint the area anew")
    anew.click()
    expect(page.get_by_text("draws a picture's codes row by row")).to_be_visible()
    page.get_by_label(OTHER).check()
    expect(page.get_by_role("spinbutton", name="Guidance by the text")).to_have_value("3")
    anew.click()
    expect(pictures).to_have_count(4)
    changed = (_pixels(page, pictures.first) != _pixels(page, pictures.last)).any(axis=-1)
    assert changed.any()
    assert not changed[CELL * 2 :].any()
    # The new picture is the open one: unmarked, not yet compared; painting closes it.
    expect(page.get_by_label("Has it copied?")).to_have_value("")
    expect(page.locator(".pictures .preview")).to_have_count(1)
    anew.click()
    expect(page.get_by_text("no area is marked")).to_be_visible()
    page.get_by_role("button", name="Paint", exact=True).click()
    expect(pictures).to_have_count(2)
    expect(page.locator(".pictures .preview")).to_have_count(0)
    expect(page.locator(".area canvas")).to_be_hidden()
    pictures.first.click()
    expect(page.get_by_label("Has it copied?")).to_have_value(re.compile("learned from are not"))
    page.close()


@needs_gradio
@needs_browser
def test_the_dials_of_a_prior_are_those_that_it_was_judged_with(url, browser):
    from playwright.sync_api import expect

    page = _page(browser, url)
    guidance = page.get_by_role("spinbutton", name="Guidance by the text")
    steps = page.get_by_role("spinbutton", name="Steps of the prior")
    expect(guidance).to_have_value("1.5")
    expect(steps).to_have_count(0)
    expect(page.get_by_text("only a picture's end anew")).to_be_visible()
    page.get_by_label(OTHER).check()
    expect(guidance).to_have_value("3")
    expect(steps).to_have_value("4")
    expect(page.get_by_text("can paint any area anew")).to_be_visible()
    page.close()


def _drag(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """With the mouse over the canvas, from one place to another, in shares of its sides."""
    canvas = page.locator(".area canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=5)
    page.mouse.up()


def _marked(start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
    """(SIDE, SIDE): what a stroke from one place to another may mark, a quarter pixel wider."""
    centres = (np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1) + 0.5) / SIDE
    along = np.subtract(end, start)
    share = ((centres - start) @ along / (along @ along)).clip(0, 1)[..., None]
    gap = np.linalg.norm(centres - start - share * along, axis=-1)
    return gap <= 1 / 16 + 0.25 / SIDE


def _pixels(page, picture) -> np.ndarray:
    """A picture as the server sends it."""
    content = page.request.get(picture.get_attribute("src")).body()
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_the_demos_versions_are_the_runs_but_for_the_two_that_gradio_wants_older():
    run, demo = (
        dict(line.split("==") for line in (ROOT / name).read_text().splitlines() if "==" in line)
        for name in ("constraints.txt", "constraints-demo.txt")
    )
    assert {name for name in run if demo.get(name) != run[name]} == {"pillow", "tomlkit"}
    assert "gradio" in demo
