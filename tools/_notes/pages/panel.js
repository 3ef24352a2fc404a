"use strict";
// The side panel: one note, its words, and the notes around it.

class Panel {
  /** *open* is called with a note to go to, *find* with a tag to look for, *close* with nothing. */
  constructor(panel, nodes, edges, colour, { open, find, close }) {
    this.panel = panel;
    this.nodes = nodes;
    this.colour = colour;
    this.actions = { open, find, close };
    this.linksOut = nodes.map(() => []);
    this.linksIn = nodes.map(() => []);
    for (const { source, target } of edges) {
      this.linksOut[source].push(target);
      this.linksIn[target].push(source);
    }
    const byTitle = (a, b) => nodes[a].title.localeCompare(nodes[b].title);
    for (const list of [...this.linksOut, ...this.linksIn]) list.sort(byTitle);
  }

  hide() {
    this.panel.hidden = true;
  }

  show(note) {
    const { title, id, tags, created, excerpt } = this.nodes[note];
    this.panel.replaceChildren(
      element("button", { type: "button", class: "close", "aria-label": "Close", onclick: this.actions.close }, "×"),
      element("h2", {}, title),
      element("div", { class: "path" }, created ? `${id} · ${created}` : id),
      element("div", { class: "tags" }, ...tags.map((tag) => this.#tag(tag))),
      element("p", { class: "excerpt" }, excerpt),
      ...this.#list("Links to", this.linksOut[note]),
      ...this.#list("Linked from", this.linksIn[note]),
    );
    this.panel.hidden = false;
    this.panel.scrollTop = 0;
  }

  #tag(tag) {
    return element("button", { type: "button", class: "tag", onclick: () => this.actions.find(`#${tag}`) }, `#${tag}`);
  }

  #list(name, notes) {
    if (!notes.length) return [];
    const items = notes.map((note) =>
      element("li", {},
        element("button", { type: "button", onclick: () => this.actions.open(note) },
          dot(this.colour(this.nodes[note].community)),
          element("span", {}, this.nodes[note].title))));
    return [
      element("h3", {}, element("span", {}, name), element("span", {}, String(notes.length))),
      element("ul", {}, ...items),
    ];
  }
}

function dot(colour) {
  const made = element("span", { class: "dot", "aria-hidden": "true" });
  made.style.setProperty("--colour", colour);
  return made;
}
