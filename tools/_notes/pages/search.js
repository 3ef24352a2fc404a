"use strict";
// Finding a note by its title, or notes by a #tag, from the keyboard.

const MOST_RESULTS = 8;

class Search {
  /** *found* is called with the notes that match, or null; *open* with the one chosen. */
  constructor(input, list, nodes, colour, { found, open }) {
    Object.assign(this, { input, list, nodes, colour, found, open });
    this.titles = nodes.map((node) => fold(node.title));
    this.results = [];
    this.chosen = 0;
    input.addEventListener("input", () => this.#look());
    input.addEventListener("keydown", (event) => this.#onKey(event));
  }

  lookFor(text) {
    this.input.value = text;
    this.#look();
  }

  clear() {
    if (this.input.value) this.lookFor("");
  }

  #matching(text) {
    if (text.startsWith("#")) {
      const tag = text.slice(1);
      const carries = (node) => node.tags.some((own) => fold(own) === tag || fold(own).startsWith(`${tag}/`));
      const exact = this.#notes((node) => carries(node));
      return exact.length ? exact : this.#notes((node) => node.tags.some((own) => fold(own).startsWith(tag)));
    }
    const words = text.split(/\s+/);
    return this.#notes((_, note) => words.every((word) => this.titles[note].includes(word)));
  }

  #notes(matches) {
    const notes = [];
    this.nodes.forEach((node, note) => matches(node, note) && notes.push(note));
    return notes;
  }

  #look() {
    const text = fold(this.input.value.trim());
    const notes = text ? this.#matching(text) : [];
    const early = (note) => (this.titles[note].startsWith(text) ? 0 : 1);
    notes.sort((a, b) => early(a) - early(b) || this.nodes[b].rank - this.nodes[a].rank);
    this.results = notes.slice(0, MOST_RESULTS);
    this.chosen = 0;
    this.#render(text, notes.length);
    this.found(text ? new Set(notes) : null);
  }

  #render(text, total) {
    const items = this.results.map((note, place) =>
      element("li", { role: "option", id: `result-${place}`, onclick: () => this.#choose(note) },
        dot(this.colour(this.nodes[note].community)),
        element("span", {}, this.nodes[note].title)));
    if (text && !total) items.push(element("li", { class: "muted" }, "Nothing found"));
    if (total > this.results.length) {
      items.push(element("li", { class: "muted" }, `and ${total - this.results.length} more`));
    }
    this.list.replaceChildren(...items);
    this.list.hidden = !text;
    this.input.setAttribute("aria-expanded", String(Boolean(this.results.length)));
    this.#markChosen();
  }

  #markChosen() {
    this.results.forEach((_, place) => {
      this.list.children[place].setAttribute("aria-selected", String(place === this.chosen));
    });
    if (this.results.length) this.input.setAttribute("aria-activedescendant", `result-${this.chosen}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  #choose(note) {
    this.clear();
    this.open(note);
  }

  #onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.results.length) {
      event.preventDefault();
      this.chosen = (this.chosen + step + this.results.length) % this.results.length;
      this.#markChosen();
    } else if (event.key === "Enter" && this.results.length) {
      event.preventDefault();
      this.#choose(this.results[this.chosen]);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (this.input.value) this.clear();
      else this.input.blur();
    }
  }
}
