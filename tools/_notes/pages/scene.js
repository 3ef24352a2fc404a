"use strict";
// How notes and links are drawn on the canvas.

const GROUP_COLOURS = 10;

// Where a name may stand: below its note, above, to the right, to the left.
const LABEL_SPOTS = [[0, 1], [0, -1], [1, 0], [-1, 0]];

class Scene {
  constructor(canvas, nodes, edges, camera) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.nodes = nodes;
    this.edges = edges;
    this.camera = camera;
    this.lit = null; // The notes to show; null is all of them.
    this.focus = -1; // The note under the pointer or the keyboard.
    this.selected = -1;
    this.light = new Float32Array(nodes.length).fill(1);
    const highest = Math.max(...nodes.map((node) => node.rank), 1e-9);
    const crowd = Math.min(1, Math.sqrt(120 / Math.max(1, nodes.length)));
    this.radius = nodes.map((node) => (3.2 + 15 * Math.sqrt(node.rank / highest)) * (0.45 + 0.55 * crowd));
    this.byRank = nodes.map((_, note) => note).sort((a, b) => nodes[b].rank - nodes[a].rank);
    this.edgesByColour = groupBy(edges, (edge) => this.#edgeGroup(edge));
    this.readColours();
    this.resize();
  }

  /** Read the colours of the page's style, which changes with the reader's light or dark. */
  readColours() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    this.colours = { paper: read("--paper"), ink: read("--ink"), alone: read("--alone") };
    this.groups = Array.from({ length: GROUP_COLOURS }, (_, group) => read(`--group-${group}`));
    this.fonts = { label: read("--sans") };
  }

  colour(group) {
    return group == null || group < 0 ? this.colours.alone : this.groups[group % GROUP_COLOURS];
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const density = window.devicePixelRatio || 1;
    this.width = this.camera.width = clientWidth;
    this.height = this.camera.height = clientHeight;
    this.canvas.width = Math.round(clientWidth * density);
    this.canvas.height = Math.round(clientHeight * density);
    this.context.setTransform(density, 0, 0, density, 0, 0);
  }

  /** Give the note at a place on the screen, or -1. */
  noteAt(screenX, screenY) {
    let [nearest, least] = [-1, Infinity];
    for (let note = 0; note < this.nodes.length; note++) {
      const [x, y] = this.camera.toScreen(note);
      const beyond = Math.hypot(x - screenX, y - screenY) - this.#size(note);
      if (beyond < 7 && beyond < least) [nearest, least] = [note, beyond];
    }
    return nearest;
  }

  /** Draw one frame; true while something on it is still moving towards its place. */
  draw() {
    const moving = this.camera.step() | this.#fade();
    const { context } = this;
    context.clearRect(0, 0, this.width, this.height);
    context.lineCap = "round";
    this.places = this.nodes.map((_, note) => this.camera.toScreen(note));
    this.#drawEdges();
    this.#drawNodes();
    this.#drawLabels();
    return Boolean(moving);
  }

  #fade() {
    let moving = false;
    for (let note = 0; note < this.nodes.length; note++) {
      const wanted = !this.lit || this.lit.has(note) ? 1 : 0.13;
      const missing = wanted - this.light[note];
      if (Math.abs(missing) < 0.01) this.light[note] = wanted;
      else {
        this.light[note] += missing * 0.22;
        moving = true;
      }
    }
    return moving;
  }

  #size(note) {
    // Notes grow more slowly than the space between them, so that zooming in separates them.
    const small = Math.min(1, Math.max(0.5, this.width / 900));
    return small * this.radius[note] * Math.min(2.2, Math.max(0.35, this.camera.closeness ** 0.45));
  }

  #edgeGroup({ source, target }) {
    const group = this.nodes[source].community;
    return group === this.nodes[target].community ? group : -1;
  }

  #drawEdges() {
    const { context } = this;
    const many = Math.min(1, Math.sqrt(400 / Math.max(1, this.edges.length)));
    const centre = this.focus >= 0 ? this.focus : this.selected;
    const isLit = ({ source, target }) =>
      !this.lit || (centre < 0 && this.lit.has(source) && this.lit.has(target));
    context.lineWidth = 1.1;
    for (const [group, edges] of this.edgesByColour) {
      context.strokeStyle = this.colour(group);
      for (const [isBright, some] of groupBy(edges, isLit)) {
        context.globalAlpha = (group === -1 ? 0.26 : 0.45) * (isBright ? 1 : 0.28) * (0.3 + 0.7 * many);
        context.beginPath();
        for (const edge of some) this.#traceEdge(edge);
        context.stroke();
      }
    }
    if (centre >= 0) this.#drawEdgesOf(centre);
    context.globalAlpha = 1;
  }

  #drawEdgesOf(centre) {
    const { context } = this;
    context.globalAlpha = 0.9;
    context.lineWidth = 1.7;
    for (const edge of this.edges) {
      if (edge.source !== centre && edge.target !== centre) continue;
      context.strokeStyle = this.colour(this.nodes[edge.source].community);
      context.beginPath();
      this.#traceEdge(edge);
      context.stroke();
      this.#drawArrow(edge);
    }
  }

  #bend({ source, target }) {
    const [x1, y1] = this.places[source];
    const [x2, y2] = this.places[target];
    return [(x1 + x2) / 2 - (y2 - y1) * 0.08, (y1 + y2) / 2 + (x2 - x1) * 0.08];
  }

  #traceEdge(edge) {
    this.context.moveTo(...this.places[edge.source]);
    if (this.edges.length > 3000) this.context.lineTo(...this.places[edge.target]);
    else this.context.quadraticCurveTo(...this.#bend(edge), ...this.places[edge.target]);
  }

  #drawArrow(edge) {
    const { context } = this;
    const [x, y] = this.places[edge.target];
    const [fromX, fromY] = this.#bend(edge);
    const angle = Math.atan2(y - fromY, x - fromX);
    const gap = this.#size(edge.target) + 3;
    context.save();
    context.translate(x - gap * Math.cos(angle), y - gap * Math.sin(angle));
    context.rotate(angle);
    context.fillStyle = context.strokeStyle;
    context.beginPath();
    context.moveTo(0, 0);
    context.lineTo(-8, -3.6);
    context.lineTo(-8, 3.6);
    context.fill();
    context.restore();
  }

  #drawNodes() {
    const { context } = this;
    for (let place = this.byRank.length - 1; place >= 0; place--) {
      const note = this.byRank[place];
      const [x, y] = this.places[note];
      const size = this.#size(note);
      if (x < -size || y < -size || x > this.width + size || y > this.height + size) continue;
      context.beginPath();
      context.arc(x, y, size + 1.5, 0, 2 * Math.PI);
      context.globalAlpha = 1;
      context.fillStyle = this.colours.paper; // A rim, so that links end at the note.
      context.fill();
      context.beginPath();
      context.arc(x, y, size, 0, 2 * Math.PI);
      context.globalAlpha = this.light[note];
      context.fillStyle = this.colour(this.nodes[note].community);
      context.fill();
      if (note === this.selected || note === this.focus) {
        context.globalAlpha = 1;
        context.strokeStyle = this.colours.ink;
        context.lineWidth = note === this.selected ? 2 : 1.3;
        context.beginPath();
        context.arc(x, y, size + 4, 0, 2 * Math.PI);
        context.stroke();
      }
    }
    context.globalAlpha = 1;
  }

  /** Give the places where no name may stand: on the notes, as long as they are not too many. */
  #crowded() {
    return this.byRank.slice(0, 150).map((note) => {
      const [x, y] = this.places[note];
      const size = this.#size(note) - 1;
      return [x - size, y - size, x + size, y + size];
    });
  }

  /** Name the notes, the highest ranked first, wherever a name covers no other. */
  #drawLabels() {
    const { context } = this;
    const first = [this.focus, this.selected].filter((note) => note >= 0);
    const lit = this.lit ? this.byRank.filter((note) => this.lit.has(note)) : this.byRank;
    const taken = this.#crowded();
    const { closeness } = this.camera;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = this.colours.paper;
    let left = (this.nodes.length > 300 ? 32 : 90) + 50 * (closeness - 1);
    for (const note of new Set([...first, ...lit])) {
      const [x, y] = this.places[note];
      if (x < 0 || y < 0 || x > this.width || y > this.height) continue;
      if (left-- < 0) break;
      const stands = first.includes(note);
      const size = this.#size(note);
      const height = Math.round(Math.min(17, 11 + size / 4));
      context.font = `${stands || size > 12 ? 600 : 450} ${height}px ${this.fonts.label}`;
      const text = shorten(this.nodes[note].title);
      const half = context.measureText(text).width / 2;
      const spots = LABEL_SPOTS.map(([across, down]) => [
        x + across * (size + 7 + half),
        y + down * (size + 4 + height / 2),
      ]);
      const boxes = spots.map(([midX, midY]) => [
        midX - half - 3, midY - height / 2 - 1, midX + half + 3, midY + height / 2 + 1,
      ]);
      const isFree = (box) =>
        box[0] > 0 && box[2] < this.width && !taken.some((other) => overlaps(box, other));
      let spot = boxes.findIndex(isFree);
      if (spot < 0 && stands) spot = 0;
      if (spot < 0) continue;
      taken.push(boxes[spot]);
      context.globalAlpha = this.light[note];
      context.strokeText(text, ...spots[spot]);
      context.fillStyle = this.colours.ink;
      context.fillText(text, ...spots[spot]);
    }
    context.globalAlpha = 1;
  }
}

function overlaps([left, top, right, bottom], [left2, top2, right2, bottom2]) {
  return left < right2 && right > left2 && top < bottom2 && bottom > top2;
}

function shorten(title) {
  return title.length > 42 ? `${title.slice(0, 40).trimEnd()}…` : title;
}

function groupBy(values, keyOf) {
  const groups = new Map();
  for (const value of values) {
    const key = keyOf(value);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(value);
  }
  return groups;
}
