// The system page: where single tasks are, a dot for each, which moves from place to place.
"use strict";

// Milliseconds that a dot takes to its next place, and that a worker stays shown after its last report.
const MOVE = 700, GONE = 15_000;

const WITH_WORKER = ["prefetched", "rendering", "stored"];

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

function showProgress(section) {
  const station = (name) => section.querySelector(`.at-${name}`);
  const status = section.querySelector("[role=status]");
  const table = section.querySelector("tbody");
  const dots = new Map();  // of each task: the dot, and its task
  const workers = new Map();  // of each worker: its place, and when it reported last

  function placeOfWorker(name) {
    if (!workers.has(name)) {
      const place = element("div", { className: "worker" },
        element("h4", {}, `${name} `, element("span", { className: "count", textContent: "0" })),
        element("div", { className: "dots", ariaHidden: "true" }));
      place.dataset.worker = name;
      workers.set(name, { place, seen: 0 });
      const next = [...workers.keys()].sort().find((other) => other > name);
      station("workers").insertBefore(place, next === undefined ? null : workers.get(next).place);
    }
    return workers.get(name);
  }

  function placeOf(task) {
    const place = WITH_WORKER.includes(task.stage)
      ? placeOfWorker(task.worker).place
      : [...section.querySelectorAll("[data-stages]")].find((each) => each.dataset.stages.includes(task.stage));
    return place.querySelector(".dots");
  }

  function createDot(task) {
    const dot = element("a", { className: "dot", href: `${root}/fractals/${task.uuid}`, tabIndex: -1 });
    dot.dataset.uuid = task.uuid;
    return dot;
  }

  function update(tasks, names) {
    const returned = new Map();  // of each worker: how many of its tasks wait again
    const before = new Map([...dots].map(([uuid, { dot }]) => [uuid, dot.getBoundingClientRect()]));
    const shown = new Set(tasks.map((task) => task.uuid));
    for (const [uuid, { dot }] of dots) {
      if (shown.has(uuid)) continue;
      dot.remove();
      dots.delete(uuid);
    }
    for (const name of names) placeOfWorker(name).seen = Date.now();
    for (const task of tasks) {
      const known = dots.get(task.uuid);
      const dot = known?.dot ?? createDot(task);
      if (known && ["unpublished", "queued"].includes(task.stage) && WITH_WORKER.includes(known.task.stage)) {
        returned.set(known.task.worker, (returned.get(known.task.worker) ?? 0) + 1);
      }
      dots.set(task.uuid, { dot, task });
      dot.dataset.stage = task.stage;
      dot.title = `${task.uuid}: ${task.stage}${task.worker ? `, ${task.worker}` : ""}`
        + (task.attempts > 1 ? `, attempt ${task.attempts}` : "");
      const place = placeOf(task);
      if (dot.parentElement !== place) place.append(dot);
    }
    for (const [name, { place, seen }] of workers) {
      const reports = names.includes(name);
      place.classList.toggle("gone", !reports);
      if (!reports && Date.now() - seen > GONE && !place.querySelector(".dot")) {
        place.remove();
        workers.delete(name);
      }
    }
    station("workers").querySelector("p").hidden = workers.size > 0;
    for (const place of section.querySelectorAll("[data-stages], .worker")) {
      const count = place.querySelector(".count");
      if (count) count.textContent = place.querySelectorAll(".dot").length;
    }
    return [before, returned];
  }

  function move(before) {
    if (reducedMotion.matches) return;
    for (const [uuid, { dot }] of dots) {
      const [from, to] = [before.get(uuid), dot.getBoundingClientRect()];
      if (from === undefined) {
        dot.animate([{ opacity: 0 }, { opacity: 1 }], MOVE);
      } else if (from.x !== to.x || from.y !== to.y) {
        const start = `translate(${from.x - to.x}px, ${from.y - to.y}px)`;
        dot.animate([{ transform: start }, { transform: "none" }], { duration: MOVE, easing: "ease-in-out" });
      }
    }
  }

  // Said once when it happens: the rest is in the table.
  function say(returned) {
    for (const [worker, count] of returned) {
      status.textContent = `Of worker ${worker}, ${count} task${count === 1 ? " waits" : "s wait"} for a worker again.`;
    }
  }

  function fillTable(tasks) {
    table.replaceChildren(...tasks.map((task) => element("tr", {},
      element("td", {}, element("a", { href: `${root}/fractals/${task.uuid}`, textContent: task.uuid.slice(0, 8) })),
      element("td", { textContent: task.stage }),
      element("td", { textContent: task.worker ?? dash }),
      element("td", { textContent: task.attempts }))));
  }

  let latest = null;
  const details = section.querySelector("details");
  details.addEventListener("toggle", () => fillTable(details.open ? latest.tasks : []));
  return (progress) => {
    latest = progress;
    section.hidden = false;
    const [before, returned] = update(progress.tasks, progress.workers);
    move(before);
    say(returned);
    // Not while somebody is on one of its links.
    if (details.open && !table.contains(document.activeElement)) fillTable(progress.tasks);
  };
}

addEventListener("DOMContentLoaded", () => {
  const show = showProgress(document.querySelector(".progress"));
  let source = null;
  const open = () => {
    source = new EventSource(`${root}/v1/progress`);
    source.addEventListener("progress", (event) => show(JSON.parse(event.data)));
  };
  // As in app.js: a hidden page closes its stream.
  document.addEventListener("visibilitychange", () => (document.hidden ? source.close() : open()));
  open();
});
