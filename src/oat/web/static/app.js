// Progressive enhancement: pages are updated by server-sent events, and the form has a map and a preview.
"use strict";

// The path prefix under which a reverse proxy has the gallery, usually empty.
const { root } = document.body.dataset;

const dash = "–";
const number = (value) =>
  value === null ? dash
  : value > 0 && value < 10 && value !== Math.trunc(value) ? value.toFixed(1)
  : Math.round(value).toLocaleString("en");
const seconds = (value) =>
  value === null ? dash
  : value < 0.001 ? `${(value * 1000).toFixed(2)} ms`
  : value < 1 ? `${(value * 1000).toFixed(0)} ms`
  : value < 120 ? `${value.toFixed(1)} s`
  : `${(value / 60).toFixed(0)} min`;
const complex = (re, im) =>
  `${re < 0 ? "−" : ""}${Math.abs(re).toFixed(4)} ${im < 0 ? "−" : "+"} ${Math.abs(im).toFixed(4)}i`;

function element(name, properties = {}, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}

// ---- server-sent events ----

function showStatistics(statistics) {
  for (const target of document.querySelectorAll("[data-number]")) {
    const value = statistics[target.dataset.number];
    target.textContent = Array.isArray(value) ? value.length : number(value);
  }
  for (const target of document.querySelectorAll("[data-seconds]")) {
    target.textContent = seconds(statistics[target.dataset.seconds]);
  }
  const warnings = document.getElementById("warnings");
  if (warnings && warnings.textContent.trim() !== statistics.warnings.join("")) {
    warnings.replaceChildren(...statistics.warnings.map((text) => element("p", { className: "notice", textContent: text })));
  }
  const workers = document.querySelector("#workers tbody");
  if (workers) {
    workers.replaceChildren(...statistics.workers.map((worker) => element("tr", {},
      element("td", { textContent: worker.name }),
      element("td", { textContent: number(worker.images_per_second) }),
      element("td", { textContent: `${worker.last_seen.slice(11, 19)} UTC` }))));
    document.querySelector("#workers + .empty").hidden = statistics.workers.length > 0;
  }
}

function createCard(fractal) {
  const card = document.getElementById("card").content.firstElementChild.cloneNode(true);
  const name = complex(fractal.cx, fractal.cy);
  Object.assign(card.dataset, { uuid: fractal.uuid, created: fractal.created_at, status: fractal.status });
  card.querySelector("a").href = `${root}/fractals/${fractal.uuid}`;
  card.querySelector(".picture").append(fractal.status === "done"
    ? element("img", { src: `${root}/v1/fractals/${fractal.uuid}/thumbnail`, alt: `Julia set of c = ${name}`, width: 320, height: 320 })
    : element("span", { className: "state", textContent: fractal.status + (fractal.error ? `: ${fractal.error}` : "") }));
  card.querySelector(".c").textContent = name;
  card.querySelector(".quiet").textContent = `${fractal.width} × ${fractal.height}`
    + (fractal.duration === null ? "" : ` · ${seconds(fractal.duration)}`);
  card.classList.add("new");
  return card;
}

function shownBy(card) {
  return [card.dataset.status, ...[...card.querySelectorAll(".state, .c, .quiet")].map((part) => part.textContent)].join("\n");
}

// Newest first, as the server orders them: by time, to the microsecond, and then by UUID.
function isNewer(a, b) {
  const [first, second] = [a, b].map(({ created, uuid }) => `${created.replace(/(Z|\+00:00)$/, "")} ${uuid}`);
  return first > second;
}

function showInGallery(grid, fractal) {
  const old = grid.querySelector(`[data-uuid="${fractal.uuid}"]`);
  const matchesFilter = grid.dataset.status === "all" || grid.dataset.status === fractal.status;
  if (!matchesFilter) {
    old?.remove();
    return;
  }
  const card = createCard(fractal);
  if (old) {
    // Not replaced without need: a click on a card that is replaced before the button is released is lost.
    if (shownBy(old) === shownBy(card)) return;
    const focused = old.contains(document.activeElement);
    old.replaceWith(card);
    if (focused) card.querySelector("a").focus();
    return;
  }
  const next = [...grid.children].find((other) => isNewer(card.dataset, other.dataset));
  grid.insertBefore(card, next ?? null);
  while (grid.children.length > Number(grid.dataset.size)) grid.lastElementChild.remove();
  document.querySelector(".empty").hidden = true;
}

function subscribe(page) {
  const grid = document.querySelector(".grid");
  const article = document.querySelector(".fractal");
  const indicator = document.querySelector(".live");
  const showState = (text, disconnected) => {
    indicator.hidden = false;
    indicator.textContent = text;
    indicator.classList.toggle("disconnected", disconnected);
  };
  let source = null;
  const open = () => {
    source = new EventSource(`${root}/v1/events`);
    source.addEventListener("open", () => showState("live", false));
    source.addEventListener("error", () => showState("reconnecting", true));
    source.addEventListener("trouble", (event) => showState(event.data, true));
    source.addEventListener("statistics", (event) => {
      showState("live", false);
      showStatistics(JSON.parse(event.data));
    });
    source.addEventListener("fractal", (event) => {
      const fractal = JSON.parse(event.data);
      if (page === "gallery") showInGallery(grid, fractal);
      if (page === "fractal" && fractal.uuid === article.dataset.uuid && fractal.status !== "waiting") location.reload();
    });
  };
  // Browsers open six connections to one host at most (HTTP/1.1): a hidden page closes its stream.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source.close();
    } else if (page === "statistics") {
      open();
    } else {
      location.reload();
    }
  });
  open();
}

// ---- the form ----

const view = { left: -2.4, top: -1.8, width: 4.8, height: 3.6 };

// The escape time of z under z → z² + c, from 0 to iterations - 1, as the renderer counts it.
function escapeTime(zx, zy, cx, cy, iterations) {
  let n = 0;
  for (; n < iterations - 1; n += 1) {
    const [xx, yy] = [zx * zx, zy * zy];
    if (xx + yy > 4) break;
    zy = 2 * zx * zy + cy;
    zx = xx - yy + cx;
  }
  return n;
}

// Fills the canvas with the renderer's palette; escapeTimeAt gets coordinates from 0 to 1.
function draw(canvas, escapeTimeAt) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const image = context.createImageData(width, height);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 4) {
      const n = escapeTimeAt(x / (width - 1), y / (height - 1));
      image.data[at] = (n % 8) * 32;
      image.data[at + 1] = (n % 16) * 16;
      image.data[at + 2] = (n % 32) * 8;
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

function setUpForm(map) {
  const preview = document.getElementById("preview");
  const input = (name) => document.getElementById(name);
  const read = (name, fallback) => (input(name).value === "" ? fallback : input(name).valueAsNumber);
  const write = (name, value) => { input(name).value = Number(value.toFixed(4)); };
  for (const figure of document.querySelectorAll(".scripted")) figure.hidden = false;

  // The map, drawn once: the Mandelbrot set, all c for which the orbit of 0 does not escape, is black.
  const background = element("canvas", { width: map.width, height: map.height });
  draw(background, (x, y) => {
    const [cx, cy] = [view.left + x * view.width, view.top + y * view.height];
    const n = escapeTime(0, 0, cx, cy, 120);
    return n === 119 ? 0 : n;
  });

  let drag = null;
  const toPixel = (x, y) => [(x - view.left) / view.width * map.width, (y - view.top) / view.height * map.height];
  function show() {
    const [xa, xb, ya, yb] = [read("xa", -2), read("xb", 2), read("ya", -1.5), read("yb", 1.5)];
    const [cx, cy] = [read("cx", NaN), read("cy", NaN)];
    const context = map.getContext("2d");
    context.drawImage(background, 0, 0);
    const [left, top] = toPixel(xa, ya);
    const [right, bottom] = toPixel(xb, yb);
    context.lineWidth = 2;
    context.setLineDash([8, 6]);
    context.strokeStyle = "#fff";
    context.strokeRect(left, top, right - left, bottom - top);
    context.setLineDash([]);
    const [x, y] = toPixel(cx, cy);
    for (const [style, width] of [["#000", 6], ["#fff", 3]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, 9, 0, 2 * Math.PI);
      context.stroke();
    }
    const ratio = Math.min(4, Math.max(0.25, read("width", 800) / read("height", 600) || 1));
    preview.width = Math.round(ratio >= 1 ? 480 : 480 * ratio);
    preview.height = Math.round(ratio >= 1 ? 480 / ratio : 480);
    const iterations = Math.min(256, Math.max(1, read("iterations", 256) || 1));
    draw(preview, (px, py) => escapeTime(xa + px * (xb - xa), ya + py * (yb - ya), cx, cy, iterations));
  }
  let scheduled = false;
  function scheduleShow() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => { scheduled = false; show(); });
  }

  const toPoint = (event) => {
    const box = map.getBoundingClientRect();
    const clamp = (part) => Math.min(1, Math.max(0, part));
    return [
      view.left + clamp((event.clientX - box.left) / box.width) * view.width,
      view.top + clamp((event.clientY - box.top) / box.height) * view.height,
    ];
  };
  const isDrag = (event) => drag && Math.hypot(event.clientX - drag.clientX, event.clientY - drag.clientY) > 5;
  function setViewport(event) {
    const [[xa, ya], [xb, yb]] = [toPoint(drag), toPoint(event)];
    if (xa === xb || ya === yb) return;
    write("xa", Math.min(xa, xb));
    write("xb", Math.max(xa, xb));
    write("ya", Math.min(ya, yb));
    write("yb", Math.max(ya, yb));
    scheduleShow();
  }
  map.addEventListener("pointerdown", (event) => {
    drag = event;
    map.setPointerCapture(event.pointerId);
  });
  map.addEventListener("pointermove", (event) => { if (isDrag(event)) setViewport(event); });
  map.addEventListener("pointerup", (event) => {
    if (isDrag(event)) {
      setViewport(event);
    } else {
      const [cx, cy] = toPoint(event);
      write("cx", cx);
      write("cy", cy);
      scheduleShow();
    }
    drag = null;
  });
  map.addEventListener("pointercancel", () => { drag = null; });
  map.addEventListener("keydown", (event) => {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (!dx && !dy) return;
    event.preventDefault();
    const step = event.shiftKey ? 0.1 : 0.01;
    write("cx", read("cx", 0) + dx * step);
    write("cy", read("cy", 0) + dy * step);
    scheduleShow();
  });
  document.querySelector(".maker").addEventListener("input", scheduleShow);
  show();
}

// ---- start ----

addEventListener("DOMContentLoaded", () => {
  const page = document.body.dataset.live;
  const map = document.getElementById("map");
  if (page) subscribe(page);
  if (map) setUpForm(map);
  if (document.getElementById("swagger")) {
    SwaggerUIBundle({ url: `${root}/v1/openapi.json`, dom_id: "#swagger", deepLinking: true });
  }
});
