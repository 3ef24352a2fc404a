"use strict";
// Puts the graph together and answers pointer and keyboard.

const byId = (id) => document.getElementById(id);
const canvas = byId("canvas");
const nodes = data.nodes;
const numberOf = new Map(nodes.map((node, note) => [node.id, note]));
const edges = data.edges.map(({ source, target }) => ({
  source: numberOf.get(source),
  target: numberOf.get(target),
}));
const neighbours = nodes.map((_, note) => new Set([note]));
for (const { source, target } of edges) {
  neighbours[source].add(target);
  neighbours[target].add(source);
}

const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const simulation = new Simulation(nodes, edges);
const camera = new Camera(simulation);
const scene = new Scene(canvas, nodes, edges, camera);
const everything = nodes.map((_, note) => note);
const panel = new Panel(byId("panel"), nodes, edges, (group) => scene.colour(group), {
  open: (note) => open(note),
  find: (tag) => search.lookFor(tag),
  close: () => close(),
});
const search = new Search(byId("search"), byId("results"), nodes, (group) => scene.colour(group), {
  found: (notes) => { foundNotes = notes; relight(); },
  open: (note) => open(note, { byKeyboard: true }),
});

let foundNotes = null;
let shownGroups = new Set();
let frame = 0;

// Drawing: a frame is asked for only while something moves.

function wake() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    const moves = simulation.step();
    if (scene.draw() || moves) wake();
  });
}

/** Give the part of the window that no card covers. */
function room() {
  const narrow = scene.width <= 760;
  const covered = !byId("panel").hidden && !narrow ? 374 : 0;
  return {
    left: narrow ? 0 : 300,
    right: scene.width - Math.max(covered, narrow ? 0 : 40),
    top: narrow ? 150 : 0,
    bottom: !byId("panel").hidden && narrow ? scene.height * 0.48 : scene.height,
  };
}

function relight() {
  const centre = scene.focus >= 0 ? scene.focus : scene.selected;
  const inGroups = (note) => shownGroups.has(nodes[note].community ?? -1);
  if (scene.focus < 0 && foundNotes) scene.lit = foundNotes;
  else if (centre >= 0) scene.lit = neighbours[centre];
  else scene.lit = shownGroups.size ? new Set(everything.filter(inGroups)) : null;
  wake();
}

function focusOn(note) {
  if (note === scene.focus) return;
  scene.focus = note;
  canvas.classList.toggle("over-note", note >= 0);
  relight();
}

// Opening and closing a note.

function open(note, { byKeyboard = false } = {}) {
  scene.selected = note;
  scene.focus = -1;
  panel.show(note);
  camera.fit([...neighbours[note]], room(), Math.max(camera.scale, camera.fitted * 1.6));
  relight();
  if (byKeyboard) byId("panel").focus();
}

function close() {
  if (scene.selected < 0) return;
  scene.selected = -1;
  panel.hide();
  relight();
  canvas.focus({ preventScroll: true });
}

function showEverything() {
  camera.fit(everything, room());
  wake();
}

// The pointer: drag the paper or a note, pinch, wheel, click.

const pointers = new Map();
let dragged = null;
let spread = 0;

const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

function pinch() {
  const [[x1, y1], [x2, y2]] = [...pointers.values()];
  return { middle: [(x1 + x2) / 2, (y1 + y2) / 2], spread: Math.hypot(x1 - x2, y1 - y2) };
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, place(event));
  if (pointers.size === 2) spread = pinch().spread;
  const [x, y] = place(event);
  dragged = pointers.size === 1 ? { note: scene.noteAt(x, y), startX: x, startY: y, moved: false } : null;
});

canvas.addEventListener("pointermove", (event) => {
  const [x, y] = place(event);
  const before = pointers.get(event.pointerId);
  if (!before) {
    if (event.pointerType !== "touch") focusOn(scene.noteAt(x, y));
    return;
  }
  pointers.set(event.pointerId, [x, y]);
  if (pointers.size === 2) {
    const now = pinch();
    camera.zoom(now.spread / Math.max(spread, 1), ...now.middle);
    spread = now.spread;
  } else if (dragged) drag(x, y, before);
  wake();
});

function drag(x, y, [beforeX, beforeY]) {
  dragged.moved ||= Math.hypot(x - dragged.startX, y - dragged.startY) > 4;
  if (!dragged.moved) return;
  canvas.classList.add("dragging");
  if (dragged.note < 0) {
    camera.pan(x - beforeX, y - beforeY);
    return;
  }
  simulation.hold(dragged.note, ...camera.toWorld(x, y));
  simulation.warm(0.35);
}

function release(event) {
  if (!pointers.delete(event.pointerId)) return;
  canvas.classList.remove("dragging");
  simulation.hold(-1);
  if (dragged && !dragged.moved && event.type === "pointerup") {
    if (dragged.note >= 0) open(dragged.note);
    else close();
  }
  dragged = null;
  wake();
}

canvas.addEventListener("pointerup", release);
canvas.addEventListener("pointercancel", release);
canvas.addEventListener("pointerleave", () => focusOn(-1));
canvas.addEventListener("dblclick", (event) => {
  const [x, y] = place(event);
  if (scene.noteAt(x, y) < 0) camera.zoom(1.7, x, y);
  wake();
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 20 : 1;
  camera.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), ...place(event));
  wake();
}, { passive: false });

// The keyboard.

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Give the note that lies nearest in a direction; a detour to the side counts double. */
function nextNote([alongX, alongY]) {
  const from = scene.focus >= 0 ? scene.focus : scene.selected;
  if (from < 0) return scene.byRank[0] ?? -1;
  let [nearest, least] = [from, Infinity];
  for (const note of everything) {
    const awayX = simulation.x[note] - simulation.x[from];
    const awayY = simulation.y[note] - simulation.y[from];
    const ahead = awayX * alongX + awayY * alongY;
    if (note === from || ahead <= 0) continue;
    const way = ahead + 2 * Math.abs(awayX * alongY - awayY * alongX);
    if (way < least) [nearest, least] = [note, way];
  }
  return nearest;
}

function goTo(note) {
  if (note < 0) return;
  focusOn(note);
  const [x, y] = camera.toScreen(note);
  const { left, right, top, bottom } = room();
  if (x < left || x > right || y < top || y > bottom) {
    camera.lookAt(simulation.x[note], simulation.y[note], camera.scale, room());
  }
  const { title, links_in: linksIn, links_out: linksOut } = nodes[note];
  byId("spoken").textContent = `${title}: ${count(linksIn, "link")} in, ${linksOut} out`;
}

const KEYS = {
  "+": () => camera.zoom(1.3),
  "=": () => camera.zoom(1.3),
  "-": () => camera.zoom(1 / 1.3),
  0: showEverything,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === byId("search")) return;
  if (event.key === "Escape") close();
  else if (event.key === "/") byId("search").focus();
  else if (event.key in KEYS) KEYS[event.key]();
  else if (event.target === canvas && event.key in DIRECTIONS) goTo(nextNote(DIRECTIONS[event.key]));
  else if (event.target === canvas && event.key === "Enter" && scene.focus >= 0) {
    open(scene.focus, { byKeyboard: true });
  } else return;
  event.preventDefault();
  wake();
});

// The cards.

const MOST_GROUPS = 12;

function fillHead() {
  const { notes, links, communities } = data.summary;
  byId("name").textContent = document.title;
  byId("figures").textContent = [
    count(notes, "note"),
    count(links, "link"),
    communities ? count(communities, "group") : "",
  ].filter(Boolean).join(" · ");
  canvas.setAttribute("aria-label", `Graph of ${byId("figures").textContent}`);
}

function fillLegend() {
  const groups = data.communities.slice(0, MOST_GROUPS);
  if (data.orphans.length) groups.push({ id: -1, name: "Not linked", size: data.orphans.length });
  byId("legend").replaceChildren(...groups.map(({ id, name, size }) =>
    element("button", { type: "button", "aria-pressed": "false", title: name, onclick: (event) => toggle(event, id) },
      dot(scene.colour(id)),
      element("span", { class: "name" }, name),
      element("span", { class: "muted" }, String(size)))));
}

/** Show only the groups pressed; with none pressed, all. */
function toggle(event, group) {
  if (!shownGroups.delete(group)) shownGroups.add(group);
  event.currentTarget.setAttribute("aria-pressed", String(shownGroups.has(group)));
  byId("legend").classList.toggle("filtered", shownGroups.size > 0);
  if (shownGroups.size) close();
  relight();
}

byId("zoom").addEventListener("click", (event) => {
  const way = event.target.closest("button")?.dataset.zoom;
  if (way === "fit") showEverything();
  else if (way) camera.zoom(way === "in" ? 1.4 : 1 / 1.4);
  wake();
});

new ResizeObserver(() => {
  scene.resize();
  wake();
}).observe(canvas);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  scene.readColours();
  fillLegend();
  if (scene.selected >= 0) panel.show(scene.selected);
  wake();
});

fillHead();
fillLegend();
byId("empty").hidden = nodes.length > 0;
camera.fit(everything, room());
camera.arrive();
if (!still) simulation.warm(0.12);
wake();
