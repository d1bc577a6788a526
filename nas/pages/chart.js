// Draws the plots of this page as wide as there is room, and tells of the point that is pointed at, tapped, or reached by keys.

const SVG = "http://www.w3.org/2000/svg";

/** A new element at the end of another. */
function add(parent, name, attributes = {}, text = "") {
  const made = parent.namespaceURI === SVG || name === "svg" ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return parent.appendChild(made);
}

const plain = (value) => String(Number(value.toPrecision(4)));

/** Where values lie on an axis, 0 to 1, and which ones are written at it. */
function scale(values, log, marginal = 0.05) {
  const [to, from] = log ? [Math.log, Math.exp] : [Number, Number];
  let low = to(Math.min(...values)), high = to(Math.max(...values));
  const margin = (high - low) * marginal || Math.abs(low) * marginal || marginal;
  [low, high] = [low - margin, high + margin];
  return { place: (value) => (to(value) - low) / (high - low), ticks: ticks(from(low), from(high), log), ends: [from(low), from(high)] };
}

function ticks(low, high, log) {
  if (log && high / low > 5) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++)
      for (const digit of high / low > 100 ? [1] : [1, 2, 5]) found.push(digit * 10 ** power);
    return found.filter((value) => value >= low && value <= high);
  }
  const rough = (high - low) / 5, unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((digit) => digit * unit >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, index) => (first + index) * step);
}

/** The outline of a mark about (x, y). */
function outline(kind, x, y, size) {
  const corners = { star: 10, diamond: 4 }[kind];
  return Array.from({ length: corners }, (_, corner) => {
    const radius = kind === "star" && corner % 2 ? size * 0.45 : size, angle = (2 * Math.PI * corner) / corners;
    return `${(x + radius * Math.sin(angle)).toFixed(1)},${(y - radius * Math.cos(angle)).toFixed(1)}`;
  }).join(" ");
}

function drawMark(parent, series, x, y) {
  const look = { class: `mark ${series.mark}`, style: `--c: var(--${series.colour})` };
  if (series.mark === "star" || series.mark === "diamond")
    return add(parent, "polygon", { ...look, points: outline(series.mark, x, y, series.mark === "star" ? 10 : 6) });
  return add(parent, "circle", { ...look, cx: x, cy: y, r: series.mark === "line" || series.mark === "steps" ? 3 : 4.5 });
}

class Chart {
  constructor(figure) {
    this.data = JSON.parse(figure.querySelector("script").textContent);
    this.shown = this.data.series.map((series) => series.shown);
    this.figure = figure;
    this.plot = figure.querySelector(".plot");
    this.legend(figure.querySelector(".legend"));
    this.svg = add(this.plot, "svg", { tabindex: 0, role: "img", "aria-label": `${this.data.label}. Arrow keys go from point to point.` });
    this.tip = add(this.plot, "div", { class: "tip", role: "status" });
    this.at = -1;
    const near = (event) => this.point(this.nearest(event));
    this.svg.addEventListener("pointermove", near);
    this.svg.addEventListener("pointerdown", near);
    this.svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.point(-1));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.svg.addEventListener("blur", () => this.point(-1));
    document.addEventListener("pointerdown", (event) => this.svg.contains(event.target) || this.point(-1));
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  legend(row) {
    this.data.series.forEach((series, number) => {
      const button = add(row, "button", { type: "button", "aria-pressed": series.shown });
      const swatch = add(button, "svg", { width: 16, height: 14, "aria-hidden": true });
      if (series.mark !== "line") drawMark(swatch, series, 8, 7);
      if (series.mark === "line" || series.mark === "steps") add(swatch, "path", { class: "mark line", style: `--c: var(--${series.colour})`, d: "M0 7H16" });
      button.append(series.name);
      button.addEventListener("click", () => {
        this.shown[number] = !this.shown[number];
        button.setAttribute("aria-pressed", this.shown[number]);
        this.draw();
      });
    });
  }

  draw() {
    const { data, svg } = this, width = this.plot.clientWidth, small = width < 480;
    if (!width) return;
    const series = data.series.filter((_, number) => this.shown[number]);
    const points = series.flatMap((one) => one.points);
    let xs = points.flatMap((point) => [point.x, ...(point.xs || [])]).concat(data.verticals.map((line) => line.at));
    let ys = points.flatMap((point) => [point.y, ...(point.ys || [])]);
    if (!points.length) [xs, ys] = [xs.length ? xs : [1], [1]];
    if (data.band !== null) xs = ys = xs.concat(ys);
    const x = scale(xs, data.x.log), y = scale(ys, data.y.log);
    const left = 14 + 7 * Math.max(...y.ticks.map((tick) => plain(tick).length)), top = 26, square = Math.min(width - 10 - left, 440);
    const right = data.band === null ? width - 10 : left + square, bottom = top + (data.band === null ? (small ? 260 : 340) : square);
    const px = (value) => left + x.place(value) * (right - left), py = (value) => bottom - y.place(value) * (bottom - top);
    this.places = [];
    this.point(-1);
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${bottom + 40}`);
    svg.setAttribute("height", bottom + 40);
    const clip = add(svg, "clipPath", { id: `clip-${[...document.querySelectorAll(".chart")].indexOf(this.figure)}` });
    add(clip, "rect", { x: left, y: top - 8, width: right - left + 8, height: bottom - top + 8 });
    for (const tick of y.ticks) {
      add(svg, "path", { class: "grid", d: `M${left} ${py(tick)}H${right}` });
      add(svg, "text", { x: left - 6, y: py(tick) + 4, "text-anchor": "end" }, plain(tick));
    }
    let free = -Infinity;
    for (const tick of x.ticks) {
      add(svg, "path", { class: "grid", d: `M${px(tick)} ${top}V${bottom}` });
      if (px(tick) - 3.5 * plain(tick).length < free) continue; // no room for its number
      add(svg, "text", { x: px(tick), y: bottom + 16, "text-anchor": "middle" }, plain(tick));
      free = px(tick) + 3.5 * plain(tick).length + 6;
    }
    add(svg, "text", { x: left, y: 12 }, data.y.label);
    add(svg, "text", { x: right, y: bottom + 34, "text-anchor": "end" }, data.x.label);
    const drawing = add(svg, "g", { "clip-path": `url(#${clip.id})` });
    if (data.band !== null) {
      const [low, high] = x.ends, edge = (factor) => [low, high].map((end) => `${px(end)},${py(Math.max(end * factor, y.ends[0] / 2))}`);
      add(drawing, "polygon", { class: "band", points: [...edge(1 + data.band), ...edge(1 - data.band).reverse()].join(" ") });
      add(drawing, "path", { class: "guide", d: `M${px(low)} ${py(low)}L${px(high)} ${py(high)}` });
    }
    let taken = left;
    for (const line of data.verticals) {
      add(drawing, "path", { class: "guide", d: `M${px(line.at)} ${top}V${bottom}` });
      if (px(line.at) - 6.5 * line.text.length - 5 < taken) continue; // no room for its name
      add(drawing, "text", { x: px(line.at) - 5, y: top + 10, "text-anchor": "end" }, line.text);
      taken = px(line.at);
    }
    for (const one of series.reverse()) this.drawSeries(drawing, one, px, py); // what matters most stands first, and is on top
    this.here = add(svg, "circle", { class: "here", r: 9, visibility: "hidden" });
  }

  drawSeries(parent, series, px, py) {
    const look = { style: `--c: var(--${series.colour})` }, joined = series.mark === "line" || series.mark === "steps";
    if (joined) {
      const path = series.points.map((point, index) =>
        index && series.mark === "steps" ? `H${px(point.x)}V${py(point.y)}` : `${index ? "L" : "M"}${px(point.x)} ${py(point.y)}`);
      add(parent, "path", { ...look, class: "mark line", d: path.join("") });
    }
    const places = series.points.map((point) => {
      const [x, y] = [px(point.x), py(point.y)];
      if (point.xs) add(parent, "path", { ...look, class: "mark bar", d: `M${px(point.xs[0])} ${y}H${px(point.xs[1])}` });
      if (point.ys) add(parent, "path", { ...look, class: "mark bar", d: `M${x} ${py(point.ys[0])}V${py(point.ys[1])}` });
      if (!joined || series.points.length < 30) drawMark(parent, series, x, y);
      const tip = point.tip || [series.name, `${this.data.x.label} ${plain(point.x)}`, `${this.data.y.label} ${plain(point.y)}`];
      return { x, y, tip };
    });
    this.places = [...places, ...this.places];
  }

  /** The number of the point beside a pointer; -1 where none is near. Of those that lie together the one on top. */
  nearest(event) {
    const edge = this.svg.getBoundingClientRect(), [x, y] = [event.clientX - edge.left, event.clientY - edge.top];
    let best = -1, least = 40;
    this.places.forEach((place, number) => {
      const away = Math.hypot(place.x - x, place.y - y);
      if (away < least) [best, least] = [number, away];
    });
    return best;
  }

  key(event) {
    const count = this.places.length, last = this.at < 0;
    const to = { ArrowRight: last ? 0 : this.at + 1, ArrowLeft: last ? count - 1 : this.at - 1, Home: 0, End: count - 1, Escape: -1 }[event.key];
    if (to === undefined || !count) return;
    event.preventDefault();
    this.point(to < 0 && event.key !== "Escape" ? count - 1 : to % count);
  }

  /** Tell of a point, or of none. */
  point(number) {
    if (number === this.at) return;
    this.at = number;
    this.tip.replaceChildren();
    if (this.here) this.here.setAttribute("visibility", number < 0 ? "hidden" : "visible");
    if (number < 0) return;
    const { x, y, tip } = this.places[number];
    this.here.setAttribute("cx", x);
    this.here.setAttribute("cy", y);
    tip.forEach((line, index) => add(this.tip, index ? "span" : "b", {}, line));
    const room = this.plot.clientWidth - this.tip.offsetWidth, above = y - this.tip.offsetHeight - 14;
    this.tip.style.transform = `translate(${Math.max(0, Math.min(x + 14, room))}px, ${above > 0 ? above : y + 14}px)`;
  }
}

document.querySelectorAll(".chart").forEach((figure) => new Chart(figure));
