/**
 * The rail as a line, and each robot where it was last read. A marker without a live reading is greyed and hollow.
 *
 * @typedef {{robot: string, at: number|null, live: boolean, level: string, title: string}} Marker
 */
const SVG = "http://www.w3.org/2000/svg";
const LANE_PX = 20;
const LETTER_PX = 8;
const AXIS_PX = 26;
const EDGE_PX = 28;
const LEVELS = ["normal", "nolink", "warning", "critical"]; // the worst is drawn last, on top
const SHAPES = { normal: "", nolink: "○ ", warning: "▲ ", critical: "■ " };

export class Rail {
  /**
   * @param {SVGSVGElement} svg
   * @param {[number, number]} range metres
   * @param {{lanes: number}} options lanes: rows of labels (fixed, so that nothing jumps)
   */
  constructor(svg, range, { lanes }) {
    Object.assign(this, { svg, range, lanes });
    this.heightPx = lanes * LANE_PX + AXIS_PX + 8;
    svg.setAttribute("height", String(this.heightPx));
    this.axis = add(svg, "g", { class: "axis" });
    this.aim = add(svg, "g", { class: "aim" });
    this.markers = add(svg, "g", {});
    this.drawn = "";
    new ResizeObserver(() => this.redraw()).observe(svg);
  }

  /** @param {Marker[]} markers @param {number|null} [target] */
  show(markers, target = null) {
    this.shown = [markers, target];
    const key = JSON.stringify([this.widthPx(), markers, target]);
    if (key === this.drawn) return;
    this.drawn = key;
    this.drawAxis();
    this.drawTarget(target);
    this.drawMarkers(markers.filter((one) => one.at !== null));
  }

  redraw() {
    if (this.shown) this.show(...this.shown);
  }

  widthPx() {
    return this.svg.clientWidth;
  }

  /** @param {number} metres */
  x(metres) {
    const [from, to] = this.range;
    const share = Math.min(1, Math.max(0, (metres - from) / (to - from)));
    return EDGE_PX + share * (this.widthPx() - 2 * EDGE_PX);
  }

  get lineY() {
    return this.lanes * LANE_PX + 4;
  }

  drawAxis() {
    this.axis.replaceChildren();
    const [from, to] = this.range;
    add(this.axis, "line", { x1: this.x(from), x2: this.x(to), y1: this.lineY, y2: this.lineY, class: "track" });
    const steps = this.widthPx() < 560 ? 4 : 10;
    for (let i = 0; i <= steps; i += 1) {
      const metres = from + ((to - from) * i) / steps;
      add(this.axis, "line", { x1: this.x(metres), x2: this.x(metres), y1: this.lineY, y2: this.lineY + 6, class: "tick" });
      const label = add(this.axis, "text", { x: this.x(metres), y: this.lineY + 22 });
      label.textContent = `${Number(metres.toFixed(1))}${i === steps ? " m" : ""}`;
    }
  }

  drawTarget(target) {
    this.aim.replaceChildren();
    if (target === null) return;
    const [x, y] = [this.x(target), this.lineY];
    add(this.aim, "path", { d: `M${x} ${y - 10}V${y + 10}M${x - 5} ${y - 10}H${x + 5}`, class: "target" });
  }

  /** Labels go into the lowest free lane; what finds none is counted on the label that took its place. */
  drawMarkers(markers) {
    this.markers.replaceChildren();
    const layers = Object.fromEntries(["stems", "dots", "labels"].map((name) => [name, add(this.markers, "g", {})]));
    const lanes = Array.from({ length: this.lanes }, () => ({ until: -Infinity, label: null, more: 0 }));
    for (const one of [...markers].sort((a, b) => a.at - b.at || a.robot.localeCompare(b.robot))) this.drawLabel(one, lanes, layers);
    for (const one of [...markers].sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level))) {
      const dot = add(layers.dots, "circle", { cx: this.x(one.at), cy: this.lineY, r: 6, class: kind(one) });
      add(dot, "title", {}).textContent = one.title;
    }
  }

  drawLabel(one, lanes, layers) {
    const words = `${SHAPES[one.level]}${one.robot}`;
    const x = this.x(one.at);
    const half = (words.length * LETTER_PX) / 2 + 6;
    const centre = Math.min(Math.max(x, half), this.widthPx() - half);
    const free = lanes.findIndex((lane) => lane.until <= centre - half);
    if (free < 0) {
      const last = lanes.at(-1);
      last.more += 1;
      last.label.textContent = `${last.words} +${last.more}`;
      return;
    }
    const y = this.lineY - 12 - free * LANE_PX;
    if (free > 0) add(layers.stems, "line", { x1: x, x2: x, y1: this.lineY - 6, y2: y + 4, class: "stem" });
    const label = add(layers.labels, "text", { x: centre, y, class: kind(one) });
    label.textContent = words;
    add(label, "title", {}).textContent = one.title;
    lanes[free] = { until: centre + half + (free === lanes.length - 1 ? 24 : 0), label, words, more: 0 };
  }
}

function kind(one) {
  return `is-${one.level}${one.live ? "" : " is-stale"}`;
}

function add(parent, name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  parent.append(element);
  return element;
}
