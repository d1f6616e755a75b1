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

function look(circle) {
  const image = document.getElementById("latent-" + circle.dataset.open);
  const copy = document.createElement("img"), text = document.createElement("div");
  copy.src = image.src;
  copy.alt = "";
  text.textContent = JSON.parse(image.dataset.facts).label;
  preview.replaceChildren(copy, text);
  preview.hidden = false;
  const at = circle.getBoundingClientRect(), size = preview.getBoundingClientRect();
  const left = Math.min(at.right + 8, innerWidth - size.width - 4);
  const top = Math.min(at.bottom + 8, innerHeight - size.height - 4);
  preview.style.left = Math.max(4, left) + "px";
  preview.style.top = Math.max(4, top) + "px";
}

for (const plot of document.querySelectorAll(".points")) {
  const circles = [...plot.querySelectorAll("circle[data-open]")];
  for (const circle of circles) {
    const open = () => {
      const image = document.getElementById("latent-" + circle.dataset.open);
      preview.hidden = true;
      show(image.src, "", JSON.parse(image.dataset.facts));
    };
    circle.addEventListener("pointerenter", () => look(circle));
    circle.addEventListener("focus", () => look(circle));
    circle.addEventListener("pointerleave", () => { preview.hidden = true; });
    circle.addEventListener("blur", () => { preview.hidden = true; });
    circle.addEventListener("click", open);
    circle.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        open();
      }
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const next = circles[(circles.indexOf(circle) + step + circles.length) % circles.length];
      circle.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }
}
