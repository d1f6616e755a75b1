"""The canvas on which a person marks an area of a picture: a few lines of the browser's own.

Gradio's image editor takes uploads, of any number and size, so a page that needs none is better off
without it. This one is sent a picture, and sends back a bit for each of its pixels: its value is
what `apps.demo.asked.area_of` reads, and empty while nothing is marked.
"""

from __future__ import annotations

import gradio as gr

TEMPLATE = """
<div class="frame">
  <p class="hint">Open a picture above, and mark an area of it here.</p>
  <canvas role="img" aria-label="The opened picture: drag over it to mark an area"></canvas>
  <div class="tools">
    <button type="button" class="half">Mark the lower half</button>
    <button type="button" class="clear">Clear the marks</button>
  </div>
</div>
"""
STYLE = """
canvas { display: none; width: 100%; max-width: 20rem; touch-action: none; cursor: crosshair }
.tools { display: none; gap: 0.5rem; margin-top: 0.5rem }
.tools button {
  margin: 0; padding: 0.25rem 0.75rem;
  border-radius: var(--button-small-radius); font-size: var(--text-sm);
  background: var(--button-secondary-background-fill); color: var(--button-secondary-text-color);
}
.open .hint { display: none }
.open canvas { display: block }
.open .tools { display: flex }
"""
SCRIPT = """
const canvas = element.querySelector("canvas"), pen = canvas.getContext("2d");
const picture = new Image();
let side = 0, marks = new Uint8Array(0), last = null;

function draw() {
  const scale = canvas.width / side, wide = Math.ceil(side / props.cell), touched = new Set();
  pen.imageSmoothingEnabled = false;
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  pen.fillStyle = "rgb(255 0 160 / 55%)";
  marks.forEach((marked, i) => {
    if (!marked) return;
    const x = i % side, y = Math.floor(i / side);
    pen.fillRect(x * scale, y * scale, scale, scale);
    touched.add(Math.floor(y / props.cell) * wide + Math.floor(x / props.cell));
  });
  for (const [color, width] of [["black", 3], ["white", 1]]) {
    [pen.strokeStyle, pen.lineWidth] = [color, width];
    for (const i of touched) {
      const size = props.cell * scale;
      pen.strokeRect((i % wide) * size, Math.floor(i / wide) * size, size, size);
    }
  }
}

function say() {
  let digits = "";
  for (let i = 0; i < marks.length; i += 4)
    digits += (8 * marks[i] + 4 * marks[i + 1] + 2 * marks[i + 2] + marks[i + 3]).toString(16);
  props.value = marks.includes(1) ? digits : "";
}

function mark(inside) {
  marks.forEach((_, i) => { if (inside(i % side + 0.5, Math.floor(i / side) + 0.5)) marks[i] = 1 });
  draw();
}

function stroke(to) {  // a line as broad as an eighth of the picture
  const [x, y] = last, [dx, dy] = [to[0] - x, to[1] - y], length = dx * dx + dy * dy || 1;
  mark((px, py) => {
    const t = Math.min(1, Math.max(0, ((px - x) * dx + (py - y) * dy) / length));
    return Math.hypot(px - x - t * dx, py - y - t * dy) <= side / 16;
  });
  last = to;
}

function at(event) {
  const box = canvas.getBoundingClientRect(), scale = side / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

function open() {
  side = props.side;
  marks = new Uint8Array(side * side);
  element.querySelector(".frame").classList.toggle("open", side > 0);
  canvas.width = canvas.height = side * Math.max(1, Math.floor(640 / side));
  picture.src = props.picture;
  say();
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  last = at(event);
  stroke(last);
});
canvas.addEventListener("pointermove", (event) => { if (last) stroke(at(event)) });
for (const end of ["pointerup", "pointercancel"])
  canvas.addEventListener(end, () => { last = null; say() });
for (const [button, change] of [
  [".half", () => mark((x, y) => y > side / 2)],
  [".clear", () => { marks.fill(0); draw() }],
]) element.querySelector(button).addEventListener("click", () => { change(); say() });
picture.addEventListener("load", draw);
watch("picture", open);
watch("cell", () => { if (side) draw() });
"""


def canvas(cell: int) -> gr.HTML:
    """A canvas with no picture on it."""
    return gr.HTML(
        "",
        html_template=TEMPLATE,
        css_template=STYLE,
        js_on_load=SCRIPT,
        elem_classes="area",
        picture="",
        side=0,
        cell=cell,
    )


def with_picture(picture: str, side: int, cell: int) -> gr.HTML:
    """What puts a picture on it, by its address; the address "" takes it away.

    Args:
        side: of the picture in pixels.
        cell: side of the cells that are outlined where they are touched.
    """
    return gr.HTML(picture=picture, side=side, cell=cell)


def with_cells(cell: int) -> gr.HTML:
    """What outlines other cells; picture and marks stay."""
    return gr.HTML(cell=cell)
