"use strict";
// Where the reader looks: what part of the world is on the screen, and how closely.

class Camera {
  static GLIDE = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1 : 0.16;

  constructor(simulation) {
    this.simulation = simulation;
    this.view = { x: 0, y: 0, scale: 1 };
    this.goal = null; // The view it glides to.
    this.fitted = 1; // The scale at which everything was in view at first.
    this.width = this.height = 0;
  }

  get scale() {
    return this.view.scale;
  }

  /** How much closer it is than at first. */
  get closeness() {
    return this.view.scale / this.fitted;
  }

  /** Look at *notes* so that they fill the *room* that the cards leave, no closer than *closest*. */
  fit(notes, room, closest = 130) {
    if (!notes.length) return;
    const xs = notes.map((note) => this.simulation.x[note]);
    const ys = notes.map((note) => this.simulation.y[note]);
    const [left, right] = [Math.min(...xs), Math.max(...xs)];
    const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
    // Names stick out farther to the sides than above and below.
    const wide = (room.right - room.left - 150) / Math.max(right - left, 0.1);
    const high = (room.bottom - room.top - 90) / Math.max(bottom - top, 0.1);
    this.lookAt((left + right) / 2, (top + bottom) / 2, Math.max(1, Math.min(wide, high, closest)), room);
  }

  /** Glide until a place in the world is in the middle of *room*. */
  lookAt(x, y, scale, room) {
    const middleX = (room.left + room.right) / 2 - this.width / 2;
    const middleY = (room.top + room.bottom) / 2 - this.height / 2;
    this.goal = { x: x - middleX / scale, y: y - middleY / scale, scale };
  }

  /** Be where it was going, and call that the scale at which everything is in view. */
  arrive() {
    this.view = this.goal ?? this.view;
    this.goal = null;
    this.fitted = this.view.scale;
  }

  /** Zoom by *factor*, what is at a place on the screen staying there. */
  zoom(factor, screenX = this.width / 2, screenY = this.height / 2) {
    const [x, y] = this.toWorld(screenX, screenY);
    const scale = Math.min(1500, Math.max(0.5, this.view.scale * factor));
    this.goal = null;
    this.view = {
      x: x - (screenX - this.width / 2) / scale,
      y: y - (screenY - this.height / 2) / scale,
      scale,
    };
  }

  pan(byX, byY) {
    this.goal = null;
    this.view.x -= byX / this.view.scale;
    this.view.y -= byY / this.view.scale;
  }

  toWorld(screenX, screenY) {
    const { x, y, scale } = this.view;
    return [x + (screenX - this.width / 2) / scale, y + (screenY - this.height / 2) / scale];
  }

  /** Give the place of a note on the screen. */
  toScreen(note) {
    const { x, y, scale } = this.view;
    return [
      (this.simulation.x[note] - x) * scale + this.width / 2,
      (this.simulation.y[note] - y) * scale + this.height / 2,
    ];
  }

  /** Glide one frame's part of the way; false once there. */
  step() {
    if (!this.goal) return false;
    const { view, goal } = this;
    const isNear = Math.abs(goal.scale / view.scale - 1) < 0.002
      && Math.hypot(goal.x - view.x, goal.y - view.y) * view.scale < 0.5;
    if (isNear || Camera.GLIDE === 1) {
      this.view = goal;
      this.goal = null;
      return false;
    }
    view.scale *= (goal.scale / view.scale) ** Camera.GLIDE;
    view.x += (goal.x - view.x) * Camera.GLIDE;
    view.y += (goal.y - view.y) * Camera.GLIDE;
    return true;
  }
}
