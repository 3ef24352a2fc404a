"use strict";
// The page: a query, its results, and the keyboard.

const MOST_RESULTS = 40;
const MOST_TAGS = 30;

const query = document.getElementById("query");
const list = document.getElementById("results");
const index = new Index(data);

let results = [];
let terms = new Set();
let chosen = 0;
let opened = -1;

function search() {
  ({ notes: results, terms } = index.search(query.value));
  chosen = 0;
  opened = -1;
  const shown = Math.min(results.length, MOST_RESULTS);
  const more = results.length > shown ? `, the first ${shown} shown` : "";
  document.getElementById("spoken").textContent = results.length ? `${count(results.length, "note")}${more}` : "Nothing found";
  list.replaceChildren(...results.slice(0, MOST_RESULTS).map(renderResult));
  for (const tag of document.querySelectorAll("#tags button")) {
    tag.setAttribute("aria-pressed", String(hasTag(tag.textContent)));
  }
  choose(0);
}

function renderResult(note, place) {
  const { title, id, text } = data.notes[note];
  const isOpen = place === opened;
  return element("li", { role: "option", id: `result-${place}`, class: isOpen && "open", onclick: () => toggle(place) },
    element("h2", {}, ...marked(title, terms)),
    element("div", { class: "path" }, id),
    element("p", {}, ...marked(isOpen ? text : quote(text, terms), terms)));
}

function choose(place) {
  list.children[chosen]?.setAttribute("aria-selected", "false");
  chosen = Math.max(0, Math.min(place, list.children.length - 1));
  const item = list.children[chosen];
  if (!item) return query.removeAttribute("aria-activedescendant");
  item.setAttribute("aria-selected", "true");
  query.setAttribute("aria-activedescendant", item.id);
}

/** Show the whole of a note, or its quote again. */
function toggle(place) {
  const before = opened;
  opened = place === opened ? -1 : place;
  for (const changed of [before, place]) {
    if (changed >= 0) list.children[changed].replaceWith(renderResult(results[changed], changed));
  }
  choose(place);
}

const hasTag = (tag) => query.value.split(/\s+/).some((part) => fold(part) === fold(tag));

function toggleTag(tag) {
  const others = query.value.split(/\s+/).filter((part) => part && fold(part) !== fold(tag));
  query.value = (hasTag(tag) ? others : [...others, tag]).join(" ");
  query.focus();
  search();
}

function fillTags() {
  const uses = new Map();
  for (const tag of data.notes.flatMap((note) => note.tags)) uses.set(tag, (uses.get(tag) ?? 0) + 1);
  const most = [...uses].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, MOST_TAGS);
  document.getElementById("tags").replaceChildren(...most.map(([tag, number]) =>
    element("button", { type: "button", class: "tag", title: count(number, "note"), onclick: () => toggleTag(`#${tag}`) }, `#${tag}`)));
}

query.addEventListener("input", search);
query.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 5, PageUp: -5 }[event.key];
  if (step) {
    choose(chosen + step);
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  } else if (event.key === "Enter" && results.length) toggle(chosen);
  else if (event.key === "Escape" && query.value) {
    query.value = "";
    search();
  } else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== query) {
    event.preventDefault();
    query.focus();
  }
});

document.getElementById("name").textContent = document.title;
document.getElementById("figures").textContent =
  `${count(data.notes.length, "note")} · ${count(index.terms.length, "word")}`;
fillTags();
search();
