"use strict";
// The forces between notes, as in `layout.py`: all push with 1/distance, links pull like springs,
// and a weak pull to the middle keeps everything together.

class Simulation {
  static GRAVITY_X = 0.12;
  static GRAVITY_Y = 0.22; // Screens are wide.
  static GRAVITY_ALONE = 4;
  static TOGETHER = 1;
  static APART = 0.35;
  static EXACT_UP_TO = 400;
  static LIVE_UP_TO = 4000;

  constructor(nodes, edges) {
    this.size = nodes.length;
    this.x = Float64Array.from(nodes, (node) => node.x);
    this.y = Float64Array.from(nodes, (node) => node.y);
    this.speedX = new Float64Array(this.size);
    this.speedY = new Float64Array(this.size);
    this.forceX = new Float64Array(this.size);
    this.forceY = new Float64Array(this.size);
    const links = new Float64Array(this.size);
    for (const { source, target } of edges) {
      links[source]++;
      links[target]++;
    }
    const gravityOf = (number) => (number ? 1 : Simulation.GRAVITY_ALONE);
    this.gravity = Float64Array.from(links, gravityOf);
    this.stiffness = Float64Array.from(links, (number) => gravityOf(number) * Simulation.GRAVITY_Y + 0.5);
    this.springs = edges.map(({ source, target }) => {
      const together = nodes[source].community === nodes[target].community;
      const strength = together ? Simulation.TOGETHER : Simulation.APART;
      const pull = strength / Math.min(links[source], links[target]);
      this.stiffness[source] += pull;
      this.stiffness[target] += pull;
      return { source, target, pull };
    });
    this.held = -1;
    this.heat = 0;
  }

  /** Set things moving; *heat* is from 0 to 1. Very many notes stay where they were placed. */
  warm(heat) {
    if (this.size <= Simulation.LIVE_UP_TO) this.heat = Math.max(this.heat, heat);
  }

  /** Hold a note at a place, or none with -1. */
  hold(note, x, y) {
    this.held = note;
    if (note < 0) return;
    this.x[note] = x;
    this.y[note] = y;
    this.speedX[note] = this.speedY[note] = 0;
  }

  /** Move everything by one step; false once all has come to rest. */
  step() {
    if (this.heat < 0.005) return false;
    this.forceX.fill(0);
    this.forceY.fill(0);
    if (this.size <= Simulation.EXACT_UP_TO) this.#pushExactly();
    else this.#pushByGrid();
    this.#pull();
    for (let note = 0; note < this.size; note++) {
      if (note === this.held) continue;
      const gain = (0.35 * this.heat) / this.stiffness[note];
      this.speedX[note] = 0.72 * this.speedX[note] + gain * this.forceX[note];
      this.speedY[note] = 0.72 * this.speedY[note] + gain * this.forceY[note];
      this.x[note] += this.speedX[note];
      this.y[note] += this.speedY[note];
    }
    this.heat *= 0.985;
    return true;
  }

  #pull() {
    for (const { source, target, pull } of this.springs) {
      const x = (this.x[target] - this.x[source]) * pull;
      const y = (this.y[target] - this.y[source]) * pull;
      this.forceX[source] += x;
      this.forceY[source] += y;
      this.forceX[target] -= x;
      this.forceY[target] -= y;
    }
    for (let note = 0; note < this.size; note++) {
      this.forceX[note] -= Simulation.GRAVITY_X * this.gravity[note] * this.x[note];
      this.forceY[note] -= Simulation.GRAVITY_Y * this.gravity[note] * this.y[note];
    }
  }

  #push(note, x, y, weight) {
    const awayX = this.x[note] - x;
    const awayY = this.y[note] - y;
    const squared = awayX * awayX + awayY * awayY + 1e-3;
    this.forceX[note] += (weight * awayX) / squared;
    this.forceY[note] += (weight * awayY) / squared;
  }

  #pushExactly() {
    for (let note = 0; note < this.size; note++) {
      for (let other = 0; other < this.size; other++) {
        if (other !== note) this.#push(note, this.x[other], this.y[other], 1);
      }
    }
  }

  /** Notes in cells nearby push one by one, a cell farther off as one from its centre of mass. */
  #pushByGrid() {
    const cells = this.#fillCells();
    for (const here of cells) {
      for (const there of cells) {
        const near = Math.abs(here.column - there.column) < 2 && Math.abs(here.row - there.row) < 2;
        for (const note of here.notes) {
          if (!near) this.#push(note, there.x, there.y, there.notes.length);
          else {
            for (const other of there.notes) {
              if (other !== note) this.#push(note, this.x[other], this.y[other], 1);
            }
          }
        }
      }
    }
  }

  #fillCells() {
    let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let note = 0; note < this.size; note++) {
      left = Math.min(left, this.x[note]);
      right = Math.max(right, this.x[note]);
      top = Math.min(top, this.y[note]);
      bottom = Math.max(bottom, this.y[note]);
    }
    const columns = Math.ceil(Math.sqrt(this.size) / 2);
    const width = Math.max(right - left, bottom - top, 1e-9) / columns;
    const cells = new Map();
    for (let note = 0; note < this.size; note++) {
      const column = Math.floor((this.x[note] - left) / width);
      const row = Math.floor((this.y[note] - top) / width);
      const key = row * (columns + 1) + column;
      let cell = cells.get(key);
      if (!cell) cells.set(key, (cell = { column, row, notes: [], x: 0, y: 0 }));
      cell.notes.push(note);
      cell.x += this.x[note];
      cell.y += this.y[note];
    }
    for (const cell of cells.values()) {
      cell.x /= cell.notes.length;
      cell.y /= cell.notes.length;
    }
    return [...cells.values()];
  }
}
