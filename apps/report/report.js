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

const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
const all = [...document.querySelectorAll(".gallery button")];
for (const button of all) {
  button.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const seen = all.filter((one) => !one.hidden);
    seen[(seen.indexOf(button) + step + seen.length) % seen.length].focus();
  });
}
const search = document.querySelector("input[type=search]");
search?.addEventListener("input", () => {
  const asked = search.value.toLowerCase();
  for (const button of all) {
    button.hidden = !button.querySelector("img").alt.toLowerCase().includes(asked);
  }
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
    point.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        open();
      }
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const next = points[(points.indexOf(point) + step + points.length) % points.length];
      point.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }
}
