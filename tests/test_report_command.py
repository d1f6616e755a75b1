"""`codebrush report`: a run as one file that loads nothing and runs nothing of the run's."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.report.charts import Line, curves
from apps.report.markdown import html_of
from apps.report.page import write_report
from pipeline.data.pixels import seal_pixels, shard_name
from pipeline.errors import UserError
from pipeline.painting_files import save_png

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
REPORT = f"""# What this run measured

**42% [37% to 46%]** of *all* `x` {HOSTILE}

| pictures | all |
| --- | --- |
| **generated** | 0.4 {HOSTILE} |

## Pictures

*The first*

![The first](pictures/generated.png)

![Latents](pictures/latents_tsne.png)

![Gone](pictures/gone.png)

![Out](../../secret.png)

## Left out

- blip: [here](javascript:alert(3)) and [there](https://example.org/a)
"""


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    for name in ("metrics/pictures", "metrics/curves", "metrics/latents", "data/generated/draws"):
        (folder / name).mkdir(parents=True)
    pixels = folder / "data/pixels/vqvae"
    pixels.mkdir(parents=True)
    np.save(pixels / shard_name(0), np.full((1, 8, 8, 3), 3, np.uint8))
    seal_pixels(pixels, np.array([b"a.png"]), counts=[1], size=8)
    (folder / "params.yaml").write_text("vqvae: {image_size: 8}\n")
    (tmp_path / "secret.png").write_bytes(png(1))
    (folder / "metrics/report.md").write_text(REPORT)
    for name in ("generated", "latents_tsne"):
        (folder / f"metrics/pictures/{name}.png").write_bytes(png(2))
    (folder / "dvc.yaml").write_text(
        "plots:\n  - Prior: {x: step, y: {metrics/curves/p.tsv: [bits, val_bits]}}\n"
    )
    (folder / "metrics/curves/p.tsv").write_text(
        "level\tstep\tbits\tval_bits\n0\t1\t5\t6\n0\t2\t4\tnan\n1\t1\t3\t3\n"
    )
    (folder / "metrics/latents/tsne.tsv").write_text(
        f"x\ty\tlabel\timage\n0\t1\tship\ta.png\n1\t0\t{HOSTILE}\tb.png\n2\t2\tx\t../../secret.png\n"
    )
    rows = ["prompt,sample,candidate,file,likelihood,chosen,judged"]
    for number, (prompt, chosen) in enumerate([("A ship", True), (HOSTILE, True), ("No", False)]):
        save_png(
            folder / f"data/generated/draws/{number}.png",
            np.full((8, 8, 3), number, np.uint8),
            {"prompt": prompt, "seed": "0"},
        )
        rows.append(f"p,0,0,draws/{number}.png,0.5,{chosen},True")
    rows.append("p,0,0,../../../secret.png,0.5,True,True")
    (folder / "data/generated/index.csv").write_text("\n".join(rows) + "\n")
    return folder


class Reader(HTMLParser):
    """What a browser would load, run and show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    handle_startendtag = handle_starttag


def written(run: Path) -> str:
    write_report(run, run / "report.html")
    return (run / "report.html").read_text(encoding="utf-8")


def test_the_page_loads_nothing_and_runs_its_own_script_alone(run):
    text = written(run)
    page = Reader(text)
    assert page.tags.count("script") == 1
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")}
    links = [value for name, value in page.attributes if name in ("src", "href")]
    assert all(re.match("data:image/|#|https://example.org/a$|$", value) for value in links)
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#x27;sha256-{digest}&#x27;" in text
    assert "default-src &#x27;none&#x27;" in text


def test_what_the_run_says_is_shown_as_it_stands(run):
    page = Reader(written(run))
    assert any(name == "alt" and value == HOSTILE for name, value in page.attributes)
    facts = [value for name, value in page.attributes if name == "data-facts"]
    assert any('"prompt": "A ship"' in value and '"seed": "0"' in value for value in facts)
    assert "table" in page.tags
    assert "javascript:" not in "".join(value for _, value in page.attributes)


def test_nothing_outside_the_run_gets_into_the_page(run):
    secret = base64.b64encode(png(1)).decode()
    assert secret not in written(run)


def test_every_chosen_picture_is_there_and_opens(run):
    text = written(run)
    gallery = text.split('<div class="gallery">')[1].split("</div>")[0]
    assert gallery.count("<button") == 2


def test_points_whose_pictures_are_here_open_them_and_are_reached_by_key(run):
    text = written(run)
    assert text.count('data-open="a.png"') == 1
    assert 'tabindex="0" role="button"' in text
    assert 'id="latent-a.png"' in text
    assert 'data-open="b.png"' not in text


def test_curves_are_drawn_for_each_level_without_what_is_no_number(run):
    text = written(run)
    for name in ("bits, level 0", "val_bits, level 0", "bits, level 1"):
        assert name in text
    assert "nan" not in text.split('<section id="curves">')[1].split("</section>")[0]


def test_a_curve_that_never_moves_is_still_drawn():
    assert "<path" in curves("x", "step", [Line("a", [(1, 2.0), (2, 2.0)])])


def test_steps_are_named_by_round_numbers():
    chart = curves("a", "step", [Line("b", [(150, 2.0), (600, 1.0)])])
    assert re.findall(r'class="middle">([^<]*)<', chart) == ["200", "400", "600"]


def test_a_picture_that_is_not_here_is_said_to_be_missing(run):
    assert "pictures/gone.png is not here" in written(run)


def test_a_folder_without_a_run_is_one_line(tmp_path):
    with pytest.raises(UserError, match="report.md: no such file; run `dvc repro`"):
        write_report(tmp_path, tmp_path / "report.html")


def test_a_folder_is_not_replaced_by_the_page(run, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="mine: a folder; expected a file"):
        write_report(run, tmp_path / "mine")
    assert (tmp_path / "mine").is_dir()


def test_markdown_is_escaped_before_it_is_marked_up():
    (block,) = html_of("**<b>** and `a*b*c` 2*3*4", lambda *_: "")
    assert block == "<p><strong>&lt;b&gt;</strong> and <code>a*b*c</code> 2*3*4</p>"
