"use strict";
// Draws each figure.chart from the JSON inside it. No library: an SVG that is drawn anew whenever something changes.
(() => {
  const MARGIN = { top: 12, right: 14, bottom: 42, left: 58 };
  const COLOURS = 8;
  const DASHES = ["", "7 3", "2 3", "9 3 2 3"];

  // ---- elements ----

  function html(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function svg(parent, tag, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  const colour = (index) => `var(--c${index % COLOURS})`;
  const dash = (index) => DASHES[Math.floor(index / COLOURS) % DASHES.length];

  // ---- numbers ----

  function plain(value) {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(4)));
    return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  }

  function counted(value) {
    for (const [unit, size] of [["T", 1e12], ["B", 1e9], ["M", 1e6], ["k", 1e3]]) {
      if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))}${unit}`;
    }
    return String(Number(value.toPrecision(3)));
  }

  function timed(seconds) {
    if (seconds >= 7200) return `${Number((seconds / 3600).toPrecision(3))} h`;
    if (seconds >= 120) return `${Number((seconds / 60).toPrecision(3))} min`;
    return `${Number(seconds.toPrecision(3))} s`;
  }

  function roundTicks(low, high, most) {
    const smallest = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(smallest));
    const spacing = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= smallest);
    const ticks = [];
    for (let n = Math.ceil(low / spacing - 1e-9); n * spacing <= high * (1 + 1e-12); n++) ticks.push(n * spacing);
    return ticks;
  }

  function decadeTicks(low, high, most) {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
      for (const factor of [1, 2, 5]) ticks.push(factor * 10 ** power);
    }
    const inside = ticks.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
    if (inside.length < 3) return roundTicks(low, high, most);
    if (inside.length <= most) return inside;
    const powers = inside.filter((tick) => Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-9);
    const every = Math.ceil(powers.length / most);
    return powers.filter((_, index) => index % every === 0);
  }

  // From values to pixels and back.
  function makeScale(low, high, from, to, logarithmic) {
    const forward = logarithmic ? Math.log : (value) => value;
    const backward = logarithmic ? Math.exp : (value) => value;
    if (low === high) [low, high] = logarithmic ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
    const [start, length] = [forward(low), forward(high) - forward(low)];
    const scale = (value) => from + ((forward(value) - start) / length) * (to - from);
    scale.value = (pixel) => backward(start + ((pixel - from) / (to - from)) * length);
    scale.ticks = (most) => (logarithmic ? decadeTicks : roundTicks)(low, high, most);
    return scale;
  }

  function nearest(points, x) {
    let [low, high] = [0, points.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (points[middle].x < x) low = middle;
      else high = middle;
    }
    return Math.abs(points[low].x - x) <= Math.abs(points[high].x - x) ? points[low] : points[high];
  }

  // ---- a figure: a frame, lines of points {x, y, label}, a readout under the pointer ----

  class Figure {
    constructor(element, view) {
      this.element = element;
      this.view = view; // () => {lines, x: {label, format, log}, y: {label, log}, broken}
      this.hiddenLines = new Set();
      this.canvas = html("div");
      this.readout = html("div", { class: "readout", hidden: "" });
      this.spoken = html("div", { class: "hidden", "aria-live": "polite" });
      this.legend = html("div", { class: "legend" });
      element.prepend(this.legend, this.canvas, this.readout, this.spoken);
      this.draw();
      new ResizeObserver(() => this.fit()).observe(element);
      window.addEventListener("beforeprint", () => this.fit());
    }

    // Drawn anew only when there is more or less room: who is reading along with the keys would lose the place.
    fit() {
      if (this.roomFor() !== this.width) this.draw();
    }

    roomFor() {
      return Math.max(280, this.element.clientWidth);
    }

    draw() {
      const model = this.view();
      this.model = model;
      this.width = this.roomFor();
      this.height = Math.min(430, Math.max(260, this.width * 0.5));
      this.shown = model.lines.filter((line) => !this.hiddenLines.has(line.name) && line.points.length);
      this.drawLegend(model.lines);
      const root = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      root.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
      root.setAttribute("role", "img");
      root.setAttribute("tabindex", "0");
      root.setAttribute("aria-label", `${this.element.dataset.title}. Arrow keys read the values.`);
      this.root = root;
      this.makeScales(model);
      this.drawFrame(model);
      this.inside = this.clip();
      if (model.broken) this.drawBroken(model.broken);
      this.shown.forEach((line) => this.drawLine(line));
      this.cursor = svg(root, "line", { class: "cursor", y1: MARGIN.top, y2: this.height - MARGIN.bottom, visibility: "hidden" });
      this.listen();
      this.canvas.replaceChildren(root);
      this.hide();
    }

    makeScales(model) {
      const points = this.shown.flatMap((line) => line.points);
      const xs = points.map((point) => point.x).filter((x) => !model.x.log || x > 0);
      const ys = points.map((point) => point.y).filter((y) => y !== null);
      const highest = Math.min(Math.max(...ys, 0), model.y.most ?? Infinity);
      const lowest = Math.min(...ys);
      const pad = model.y.log ? 1.03 : 1;
      const room = model.y.log ? 0 : 0.04 * (highest - lowest);
      const [right, bottom] = [this.width - MARGIN.right, this.height - MARGIN.bottom];
      const widen = model.x.widen ? 1.15 : 1;
      this.x = xs.length
        ? makeScale(Math.min(...xs) / widen, Math.max(...xs) * widen, MARGIN.left, right, model.x.log)
        : makeScale(1, 10, MARGIN.left, right, false);
      this.y = ys.length
        ? makeScale(lowest / pad - room, highest * pad + room, bottom, MARGIN.top, model.y.log)
        : makeScale(1, 10, bottom, MARGIN.top, false);
    }

    drawFrame(model) {
      const [right, bottom] = [this.width - MARGIN.right, this.height - MARGIN.bottom];
      for (const tick of model.x.ticks ? this.apart(model.x.ticks) : this.x.ticks(this.width < 480 ? 4 : 8)) {
        svg(this.root, "line", { class: "grid", x1: this.x(tick), x2: this.x(tick), y1: MARGIN.top, y2: bottom });
        svg(this.root, "text", { x: this.x(tick), y: bottom + 16, "text-anchor": "middle" }, model.x.format(tick));
      }
      for (const tick of this.y.ticks(6)) {
        svg(this.root, "line", { class: "grid", x1: MARGIN.left, x2: right, y1: this.y(tick), y2: this.y(tick) });
        svg(this.root, "text", { x: MARGIN.left - 6, y: this.y(tick) + 4, "text-anchor": "end" }, plain(tick));
      }
      svg(this.root, "text", { x: (MARGIN.left + right) / 2, y: this.height - 6, "text-anchor": "middle" }, model.x.label);
      const middle = (MARGIN.top + bottom) / 2;
      const turned = { x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` };
      svg(this.root, "text", turned, model.y.label);
    }

    // Those of the values whose labels do not run into one another.
    apart(values) {
      const kept = [];
      for (const value of values) {
        if (!kept.length || this.x(value) - this.x(kept.at(-1)) > 46) kept.push(value);
      }
      return kept;
    }

    drawBroken({ stable, unstable }) {
      const edge = this.x(Math.sqrt(stable * unstable));
      const [right, bottom] = [this.width - MARGIN.right, this.height - MARGIN.bottom];
      svg(this.root, "rect", { class: "broken", x: edge, y: MARGIN.top, width: Math.max(0, right - edge), height: bottom - MARGIN.top });
      svg(this.root, "line", { class: "rule", x1: edge, x2: edge, y1: MARGIN.top, y2: bottom });
      svg(this.root, "text", { class: "edge-label", x: edge - 6, y: MARGIN.top + 14, "text-anchor": "end" }, "edge of stability");
    }

    // A group that shows nothing beyond the frame.
    clip() {
      const id = `clip-${(Figure.count = (Figure.count ?? 0) + 1)}`;
      const area = svg(svg(this.root, "clipPath", { id }), "rect", { x: MARGIN.left - 5, y: MARGIN.top - 5 });
      area.setAttribute("width", this.width - MARGIN.left - MARGIN.right + 10);
      area.setAttribute("height", this.height - MARGIN.top - MARGIN.bottom + 10);
      return svg(this.root, "g", { "clip-path": `url(#${id})` });
    }

    drawLine(line) {
      const style = { stroke: colour(line.index), "stroke-dasharray": line.dashed ? "4 3" : dash(line.index) };
      const inside = line.points.filter((point) => point.y !== null && (!this.model.x.log || point.x > 0));
      if (!line.marksOnly) {
        const path = inside.map((point) => `${this.x(point.x).toFixed(1)},${this.y(point.y).toFixed(1)}`);
        svg(this.inside, "polyline", { class: "curve", points: path.join(" "), ...style });
      }
      if (!line.marks) return;
      for (const point of inside) {
        const [cx, cy] = [this.x(point.x), this.y(point.y)];
        svg(this.inside, "circle", { class: "validation", cx, cy, r: 4, stroke: colour(line.index) });
        if (line.labels) svg(this.inside, "text", { x: cx, y: cy - 8, "text-anchor": "middle" }, point.label);
      }
      for (const point of line.points.filter((one) => one.y === null)) {
        const at = { x: this.x(point.x), y: MARGIN.top + 30, "text-anchor": "middle", class: "diverged" };
        svg(this.root, "text", at, "×");
      }
    }

    drawLegend(lines) {
      if (lines.length < 2) return this.legend.replaceChildren();
      const buttons = lines.map((line) => {
        const swatch = html("span", { class: "swatch", "aria-hidden": "true" });
        swatch.style.borderColor = colour(line.index);
        if (line.dashed || dash(line.index)) swatch.style.borderTopStyle = "dashed";
        const button = html("button", { type: "button", "aria-pressed": String(!this.hiddenLines.has(line.name)) }, swatch, line.name);
        button.addEventListener("click", () => {
          if (!this.hiddenLines.delete(line.name)) this.hiddenLines.add(line.name);
          this.draw();
          [...this.legend.children].find((other) => other.textContent === line.name)?.focus();
        });
        return button;
      });
      return this.legend.replaceChildren(...buttons);
    }

    listen() {
      this.root.addEventListener("pointermove", (event) => {
        const box = this.root.getBoundingClientRect();
        this.show(((event.clientX - box.left) / box.width) * this.width);
      });
      this.root.addEventListener("pointerleave", () => this.hide());
      this.root.addEventListener("blur", () => this.hide());
      this.root.addEventListener("keydown", (event) => {
        const step = (this.width - MARGIN.left - MARGIN.right) / 40;
        const at = this.at ?? MARGIN.left;
        const moves = { ArrowRight: at + step, ArrowLeft: at - step, Home: MARGIN.left, End: this.width - MARGIN.right };
        if (event.key === "Escape") this.hide();
        if (!(event.key in moves)) return;
        event.preventDefault();
        this.spoken.textContent = this.show(moves[event.key]);
      });
    }

    // The values nearest to a pixel, in the readout; returns them as a sentence.
    show(pixel) {
      this.at = Math.min(this.width - MARGIN.right, Math.max(MARGIN.left, pixel));
      if (!this.shown.length) return "";
      const wanted = this.x.value(this.at);
      const found = this.shown.map((line) => ({ line, point: nearest(line.points, wanted) }));
      const distance = (one) => Math.abs(this.x(one.point.x) - this.at);
      const closest = found.reduce((one, other) => (distance(other) < distance(one) ? other : one)).point.x;
      const near = found.filter((one) => Math.abs(this.x(one.point.x) - this.x(closest)) < 12);
      near.sort((one, other) => (one.point.y ?? Infinity) - (other.point.y ?? Infinity));
      const title = `${this.model.x.label} ${this.model.x.format(closest)}`;
      const rows = near.slice(0, 12).map(({ line, point }) => {
        const swatch = html("span", { class: "swatch" });
        swatch.style.borderColor = colour(line.index);
        const name = point.label ?? line.name;
        return html("div", {}, swatch, html("span", {}, name), html("span", {}, point.y === null ? point.status : point.y.toFixed(4)));
      });
      this.readout.replaceChildren(html("strong", {}, title), ...rows);
      this.readout.hidden = false;
      this.place(this.x(closest));
      const spoken = near.slice(0, 5).map(({ line, point }) => `${point.label ?? line.name} ${point.y === null ? point.status : point.y.toFixed(3)}`);
      return [title, ...spoken].join(", ");
    }

    place(x) {
      const shift = this.root.getBoundingClientRect().width / this.width;
      const left = x * shift;
      const width = this.readout.offsetWidth;
      this.cursor.setAttribute("x1", x);
      this.cursor.setAttribute("x2", x);
      this.cursor.setAttribute("visibility", "visible");
      const beside = left + width + 16 > this.element.clientWidth ? left - width - 12 : left + 12;
      this.readout.style.left = `${Math.max(0, beside)}px`;
      this.readout.style.top = `${this.canvas.offsetTop + 24}px`;
    }

    hide() {
      this.at = undefined;
      this.readout.hidden = true;
      this.cursor.setAttribute("visibility", "hidden");
    }
  }

  // ---- learning curves ----

  const AXES = {
    steps: { label: "step", format: counted, of: (series) => (step) => step },
    tokens: { label: "tokens", format: counted, of: (series) => (step) => step * series.tokens_per_step },
    seconds: { label: "training time", format: timed, of: (series) => (_, seconds) => seconds },
    flops: { label: "FLOPs", format: plain, of: (series) => (step) => step * series.flops_per_step },
  };

  function curveLines(series, index, x, losses, alone) {
    const train = { name: alone ? "training, smoothed" : series.name, index, points: [] };
    train.points = series.steps.map((step, i) => ({ x: x(step, series.seconds[i]), y: series.losses[i] }));
    const valid = { name: alone ? "validation" : series.name, index: alone ? 1 : index, marks: true, points: [] };
    valid.points = series.valid_steps.map((step, i) => ({ x: x(step, series.valid_seconds[i]), y: series.valid_losses[i] }));
    if (alone) return [train, valid];
    return [losses === "validation" ? valid : train];
  }

  // Room for the curves from a tenth of training on, and for where bad runs end, but not for one that is beyond all bounds:
  // neither the steep beginning nor a broken run flattens what there is to see.
  function usualHeight(series) {
    const runs = series.map((one) => one.losses).filter((losses) => losses.length);
    if (!runs.length) return undefined;
    const early = runs.map((losses) => losses[Math.floor(losses.length / 10)]).sort((one, other) => one - other);
    const usual = early[early.length >> 1];
    return Math.max(1.25 * usual, Math.min(2 * usual, 1.05 * Math.max(...runs.map((losses) => losses.at(-1)))));
  }

  function curves(element, data) {
    const alone = data.series.length === 1;
    const choice = { axis: "steps", losses: "training", logX: false, logY: false, all: false };
    const usual = usualHeight(data.series);
    const figure = new Figure(element, () => {
      const axis = AXES[choice.axis];
      const lines = data.series.flatMap((series, index) => curveLines(series, index, axis.of(series), choice.losses, alone));
      return {
        lines,
        x: { label: axis.label, format: axis.format, log: choice.logX },
        y: { label: "loss (nats per token)", log: choice.logY, most: choice.all ? undefined : usual },
      };
    });
    const controls = html("div", { class: "controls" });
    controls.append(select("Against", Object.keys(AXES).map((key) => [key, AXES[key].label]), (value) => { choice.axis = value; figure.draw(); }));
    if (!alone) {
      const kinds = [["training", "training, smoothed"], ["validation", "validation"]];
      controls.append(select("Loss", kinds, (value) => { choice.losses = value; figure.draw(); }));
    }
    controls.append(checkbox("logarithmic across", (value) => { choice.logX = value; figure.draw(); }));
    controls.append(checkbox("logarithmic up", (value) => { choice.logY = value; figure.draw(); }));
    controls.append(checkbox("all losses", (value) => { choice.all = value; figure.draw(); }));
    element.prepend(controls);
  }

  function select(label, options, changed) {
    const menu = html("select", {}, ...options.map(([value, text]) => html("option", { value }, text)));
    menu.addEventListener("change", () => changed(menu.value));
    return html("label", {}, label, menu);
  }

  function checkbox(label, changed) {
    const box = html("input", { type: "checkbox" });
    box.addEventListener("change", () => changed(box.checked));
    return html("label", {}, box, label);
  }

  // ---- loss against what was swept ----

  function sweep(element, data) {
    const lines = data.lines.map((line, index) => ({
      name: line.name,
      index,
      marks: true,
      marksOnly: Boolean(data.scatter),
      labels: Boolean(data.scatter) || data.key === "parameters",
      points: line.points.map(([x, y, label, status]) => ({ x, y, label, status })),
    }));
    const losses = lines.flatMap((line) => line.points.map((point) => point.y)).filter((y) => y !== null);
    const tried = [...new Set(lines.flatMap((line) => line.points.map((point) => point.x)))].sort((one, other) => one - other);
    const positive = lines.every((line) => line.points.every((point) => point.x > 0));
    const broken = data.first_unstable ? { stable: data.stable_edge, unstable: data.first_unstable } : null;
    new Figure(element, () => ({
      lines,
      broken,
      x: { label: data.label, format: data.key === "parameters" ? counted : plain, log: positive, widen: positive, ticks: tried },
      y: { label: "validation loss (nats per token)", log: true, most: 3 * Math.min(...losses) },
    }));
  }

  for (const element of document.querySelectorAll("figure.chart")) {
    const data = JSON.parse(element.querySelector("script").textContent);
    (data.type === "curves" ? curves : sweep)(element, data);
  }
})();
