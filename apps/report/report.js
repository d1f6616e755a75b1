"use strict";
const dialog = document.querySelector("dialog");

function show(source, alt, facts) {
  const image = dialog.querySelector("img");
  image.src = source;
  image.alt = alt;
  image.classList.toggle("grid", "grid" in facts);
  const { prompt, grid, label, ...rest } = facts;
  dialog.querySelector("h2").textContent = prompt ?? grid ?? label ?? "";
  const list = dialog.querySelector("dl");
  list.replaceChildren();
  for (const [name, value] of Object.entries(rest)) {
    const term = document.createElement("dt"), said = document.createElement("dd");
    term.textContent = name;
    said.textContent = value;
    list.append(term, said);
  }
  dialog.showModal();
}

for (const button of document.querySelectorAll("button[data-facts]")) {
  const image = button.querySelector("img");
  button.addEventListener("click", () =>
    show(image.src, image.alt, JSON.parse(button.dataset.facts)));
}
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

// Of many that belong together Tab reaches one; the arrow keys go on from it.
function rove(all, wide) {
  const to = (next) => {
    for (const one of all) one.tabIndex = one === next ? 0 : -1;
  };
  to(all[0]);
  for (const one of all) {
    one.addEventListener("focus", () => to(one));
    one.addEventListener("keydown", (event) => {
      const seen = all.filter((each) => !each.hidden), row = wide(seen);
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = seen.indexOf(one) + step;
      (seen[next] ?? seen[(next + seen.length) % seen.length]).focus();
    });
  }
  return to;
}

const all = [...document.querySelectorAll(".gallery button")];
const reach = rove(all, (seen) => seen.filter((one) => one.offsetTop === seen[0].offsetTop).length);
const search = document.querySelector("input[type=search]");
search?.addEventListener("input", () => {
  const asked = search.value.toLowerCase();
  for (const button of all) {
    button.hidden = !button.querySelector("img").alt.toLowerCase().includes(asked);
  }
  reach(all.find((button) => !button.hidden));
});

const preview = document.createElement("div");
preview.className = "preview";
preview.hidden = true;
document.body.append(preview);

function look(point) {
  const image = document.getElementById("latent-" + point.dataset.open);
  const copy = document.createElement("img"), text = document.createElement("div");
  copy.src = image.src;
  copy.alt = "";
  text.textContent = JSON.parse(image.dataset.facts).label;
  preview.replaceChildren(copy, text);
  preview.hidden = false;
  const at = point.getBoundingClientRect(), size = preview.getBoundingClientRect();
  const left = Math.min(at.right + 8, innerWidth - size.width - 4);
  const top = Math.min(at.bottom + 8, innerHeight - size.height - 4);
  preview.style.left = Math.max(4, left) + "px";
  preview.style.top = Math.max(4, top) + "px";
}

for (const plot of document.querySelectorAll(".points")) {
  const points = [...plot.querySelectorAll(".point[data-open]")];
  const openers = new Map();
  // A finger is wider than a point: the nearest one within its reach is meant.
  plot.addEventListener("click", (event) => {
    if (openers.has(event.target)) return;
    const away = (point) => {
      const { x, y, width, height } = point.getBoundingClientRect();
      return Math.hypot(x + width / 2 - event.clientX, y + height / 2 - event.clientY);
    };
    const near = points.reduce((a, b) => (away(a) <= away(b) ? a : b), points[0]);
    if (near && away(near) < 24) openers.get(near)();
  });
  for (const point of points) {
    const open = () => {
      const image = document.getElementById("latent-" + point.dataset.open);
      preview.hidden = true;
      show(image.src, "", JSON.parse(image.dataset.facts));
    };
    point.addEventListener("pointerenter", () => look(point));
    point.addEventListener("focus", () => look(point));
    point.addEventListener("pointerleave", () => { preview.hidden = true; });
    point.addEventListener("blur", () => { preview.hidden = true; });
    point.addEventListener("click", open);
    openers.set(point, open);
    point.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        open();
      }
    });
  }
  rove(points, () => 1);
}
