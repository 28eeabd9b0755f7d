// Draws what the kernel sends of a view. All of it is set as text, never as markup: it may have come from anywhere.

/**
 * @typedef {{text: string, mood: Mood}} Note
 * @typedef {"good" | "busy" | "bad" | "over"} Mood
 * @typedef {{number: number, whole: boolean, note: Note | null, picture: any}} Frame
 * @typedef {{title: string, mood: Mood, word: string, facts: [string, string][], portion: number | null,
 *   action: string, columns: string[], rows: {cells: string[], is_changed: boolean}[], remarks: string[]}} Sheet
 * @typedef {{axes: {title: string, unit: string, x: string}, names: string[], lines: [number, number, number][],
 *   remark: string}} Plot
 */

/** @type {Record<Mood, string>} on a light ground, and on a dark one they can be told from it, too */
const MOODS = { good: "#2e9e4f", busy: "#c98500", bad: "#e5484d", over: "#848d97" };
const LINES = {
  light: ["#1f6fb4", "#c2510c", "#2e8540", "#8e44ad", "#a6761d", "#0b8a8f", "#c0267e", "#5a6b7b"],
  dark: ["#6cb2f2", "#f59e62", "#6fcf84", "#cf9bf0", "#e0bd6a", "#5ccfd3", "#f58cc4", "#aab6c2"],
};
const DASHES = [[], [6, 3], [2, 3]]; // of the lines beyond so many: no two look the same
const HEIGHT = 280;
const SPOKEN_MS = 5000; // between two things that a screen reader is told

/**
 * Make an element.
 * @param {string} tag
 * @param {string} [name] its class
 * @param {string} [text]
 */
function element(tag, name = "", text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
}

/**
 * Set the text of an element, if it is another.
 * @param {Element} target
 * @param {string} text
 */
function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Have an element as many children as there are things, each made once and then filled.
 * @template T
 * @param {Element} parent
 * @param {T[]} things
 * @param {() => HTMLElement} make
 * @param {(child: any, thing: T, place: number) => void} fill
 */
function fit(parent, things, make, fill) {
  while (parent.children.length > things.length) parent.lastElementChild?.remove();
  while (parent.children.length < things.length) parent.append(make());
  things.forEach((thing, place) => fill(parent.children[place], thing, place));
}

/** Says something to screen readers, now and then. */
class Voice {
  constructor() {
    this.element = element("div", "rx-unseen");
    this.element.setAttribute("role", "status");
    this.at = -SPOKEN_MS;
  }

  /** @param {() => string} text is asked for only if it is time */
  say(text) {
    const now = performance.now();
    if (now - this.at < SPOKEN_MS) return;
    this.at = now;
    say(this.element, text());
  }
}

/** How things stand: a dot, and the word for it. */
class Standing {
  constructor() {
    this.element = element("span", "rx-word");
    this.dot = element("span", "rx-dot");
    this.dot.setAttribute("aria-hidden", "true");
    this.word = element("span");
    this.element.append(this.dot, this.word);
  }

  /**
   * @param {Mood} mood
   * @param {string} word
   */
  show(mood, word) {
    this.dot.style.background = MOODS[mood];
    this.element.dataset.mood = mood;
    say(this.word, word);
  }
}

/** Texts: a head, figures, a table. */
class SheetView {
  /**
   * @param {HTMLElement} root
   * @param {() => void} press
   */
  constructor(root, press) {
    this.standing = new Standing();
    this.title = element("span", "rx-title");
    this.button = element("button");
    this.button.addEventListener("click", press);
    const head = element("div", "rx-head");
    head.append(this.standing.element, this.title, this.button);
    this.progress = /** @type {HTMLProgressElement} */ (element("progress"));
    this.facts = element("div", "rx-facts");
    this.scroll = element("div", "rx-scroll");
    this.table = element("table");
    this.heads = element("tr");
    this.body = element("tbody");
    const top = element("thead");
    top.append(this.heads);
    this.table.append(top, this.body);
    this.scroll.append(this.table);
    this.remarks = element("div");
    this.voice = new Voice();
    root.append(head, this.progress, this.facts, this.scroll, this.remarks, this.voice.element);
    root.setAttribute("role", "group");
    this.root = root;
    /** @type {Sheet | null} */
    this.sheet = null;
  }

  /** @param {Frame} frame */
  take(frame) {
    this.sheet = frame.picture;
    return true;
  }

  draw() {
    const sheet = this.sheet;
    if (!sheet) return;
    const summary = () => [sheet.word, sheet.title, ...sheet.facts.map(([name, text]) => `${name} ${text}`)].join(", ");
    this.root.setAttribute("aria-label", `${sheet.word} ${sheet.title}`.trim());
    this.voice.say(summary);
    this.standing.show(sheet.mood, sheet.word);
    say(this.title, sheet.title);
    say(this.button, sheet.action);
    this.button.hidden = !sheet.action;
    this.progress.hidden = sheet.portion === null;
    this.progress.value = sheet.portion ?? 0;
    fit(this.facts, sheet.facts, fact, ({ children: [name, value] }, [what, text]) => {
      say(name, what);
      say(value, text);
    });
    this.scroll.hidden = !sheet.columns.length;
    fit(this.heads, sheet.columns, () => element("th"), say);
    fit(this.body, sheet.rows, () => element("tr"), (row, { cells, is_changed }) => {
      row.classList.toggle("rx-changed", is_changed);
      fit(row, cells, () => element("td"), say);
    });
    fit(this.remarks, sheet.remarks, () => element("div", "rx-remark"), say);
  }

  end() {}
}

function fact() {
  const made = element("div");
  made.append(element("span", "rx-what"), element("span", "rx-figure"));
  return made;
}

/** The newest points of a line, as the kernel keeps them. */
class Line {
  constructor() {
    this.xs = new Float64Array(256);
    this.ys = new Float64Array(256);
    this.begin = 0;
    this.end = 0;
  }

  /**
   * Append points, and keep the last ones.
   * @param {Float64Array} xs
   * @param {Float64Array} ys
   * @param {number} kept
   */
  append(xs, ys, kept) {
    if (this.end + xs.length > this.xs.length) this.#make(xs.length);
    this.xs.set(xs, this.end);
    this.ys.set(ys, this.end);
    this.end += xs.length;
    this.begin = this.end - kept;
  }

  /** @param {number} room */
  #make(room) {
    const kept = this.end - this.begin;
    const size = Math.max(256, 2 * (kept + room)); // so that each point is moved once, or less
    for (const name of /** @type {const} */ (["xs", "ys"])) {
      const moved = new Float64Array(size);
      moved.set(this[name].subarray(this.begin, this.end));
      this[name] = moved;
    }
    this.begin = 0;
    this.end = kept;
  }
}

/**
 * The round numbers from one to another, about so many of them.
 * @param {number} low
 * @param {number} high
 * @param {number} count
 * @param {number[]} nice the steps that are round, but for powers of ten
 */
function ticks(low, high, count, nice = [1, 2, 5, 10]) {
  const rough = (high - low) / count;
  if (!(rough > 0) || !isFinite(rough)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (nice.find((each) => each * power >= rough) ?? 10);
  return steps(low, high, step);
}

/**
 * @param {number} low
 * @param {number} high
 * @param {number} step
 */
function steps(low, high, step) {
  const found = [];
  for (let number = Math.ceil(low / step); number * step <= high; number++) {
    found.push(+(number * step).toPrecision(12));
  }
  return found;
}

const MINUTE = 60, HOUR = 3600, DAY = 86400;
const TIME_STEPS = [1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY];

/**
 * The same of times, in seconds since 1970, by the reader's clock.
 * @param {number} low
 * @param {number} high
 * @param {number} count
 */
function timeTicks(low, high, count) {
  const rough = (high - low) / count;
  if (rough < 1) return ticks(low, high, count);
  const step = TIME_STEPS.find((each) => each >= rough) ?? DAY * Math.ceil(rough / DAY);
  const zone = new Date(low * 1000).getTimezoneOffset() * 60;
  return steps(low - zone, high - zone, step).map((each) => each + zone);
}

/** @param {number} value */
function numberText(value) {
  const size = Math.abs(value);
  if (Number.isNaN(value)) return "none";
  if (value !== 0 && (size < 1e-4 || size >= 1e6)) return String(+value.toPrecision(6));
  return value.toLocaleString("en", { maximumSignificantDigits: 7 });
}

/**
 * A value with its unit.
 * @param {number} value
 * @param {Plot} plot
 */
function figure(value, plot) {
  return numberText(value) + (plot.axes.unit && !Number.isNaN(value) ? ` ${plot.axes.unit}` : "");
}

/**
 * @param {number} seconds since 1970
 * @param {number} step between two times
 */
function timeText(seconds, step) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return numberText(seconds);
  if (step >= DAY) return date.toLocaleDateString("en", { month: "short", day: "numeric" });
  const pad = (/** @type {number} */ each, digits = 2) => String(each).padStart(digits, "0");
  const minute = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  if (step >= MINUTE) return minute;
  const second = `${minute}:${pad(date.getSeconds())}`;
  return step >= 1 ? second : `${second}.${pad(date.getMilliseconds(), 3)}`;
}

/** Lines on a canvas. */
class PlotView {
  /**
   * @param {HTMLElement} root
   * @param {() => void} again asks for a drawing
   */
  constructor(root, again) {
    this.again = again;
    /** @type {Plot | null} */
    this.plot = null;
    /** @type {Line[]} */
    this.lines = [];
    this.number = 0; // of the last frame that is in the lines; 0 while none is
    /** @type {number | null} where the pointer, or the keyboard, looks at values: a portion of the width */
    this.looked = null;

    this.title = element("div", "rx-caption");
    this.legend = element("ul", "rx-legend");
    this.canvas = /** @type {HTMLCanvasElement} */ (element("canvas"));
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.value = element("div", "rx-value");
    this.remark = element("div", "rx-remark");
    this.voice = new Voice();
    this.details = /** @type {HTMLDetailsElement} */ (element("details"));
    this.rows = element("tbody");
    const table = element("table");
    const heads = element("tr");
    fit(heads, ["line", "last", "least", "greatest", "points"], () => element("th"), say);
    const top = element("thead");
    top.append(heads);
    table.append(top, this.rows);
    const scroll = element("div", "rx-scroll");
    scroll.append(table);
    this.details.append(element("summary", "", "Values as a table"), scroll);
    this.details.addEventListener("toggle", again);
    root.append(this.title, this.legend, this.canvas, this.value, this.details, this.remark, this.voice.element);
    this.root = root;

    this.canvas.addEventListener("pointermove", (event) => this.#look(event.offsetX / this.canvas.clientWidth));
    this.canvas.addEventListener("pointerleave", () => this.#look(null));
    this.canvas.addEventListener("blur", () => this.#look(null));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.sizes = new ResizeObserver(again);
    this.sizes.observe(this.canvas);
  }

  /**
   * Take points in; false if some before them are missing.
   * @param {Frame} frame
   * @param {DataView[]} buffers
   */
  take(frame, buffers) {
    if (frame.whole) this.lines = [];
    else if (!this.number || frame.number !== this.number + 1) return false;
    this.number = frame.number;
    this.plot = frame.picture;
    const bytes = buffers[0];
    // A copy, since eight bytes can be read at once only from places that they are a divisor of.
    const all = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    let at = 0;
    for (const [place, count, kept] of frame.picture.lines) {
      while (this.lines.length <= place) this.lines.push(new Line());
      this.lines[place].append(all.subarray(at, at + count), all.subarray(at + count, at + 2 * count), kept);
      at += 2 * count;
    }
    return true;
  }

  /** @param {number | null} portion */
  #look(portion) {
    this.looked = portion;
    this.again();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = event.shiftKey ? 0.1 : 0.01;
    const from = this.looked ?? 1;
    const to = { ArrowLeft: from - step, ArrowRight: from + step, Home: 0, End: 1 }[event.key];
    if (event.key === "Escape") this.#look(null);
    if (to === undefined) return;
    this.#look(Math.min(1, Math.max(0, to)));
    event.preventDefault(); // the page would scroll
    event.stopPropagation(); // and a notebook would go to another cell
    this.voice.at = -SPOKEN_MS; // who asks is answered at once
  }

  draw() {
    const { plot, canvas } = this;
    if (!plot) return;
    const style = getComputedStyle(this.root);
    const ink = style.color;
    const colours = isLight(ink) ? LINES.dark : LINES.light;
    say(this.title, plot.axes.title);
    this.#drawLegend(plot.names, colours);
    say(this.remark, plot.remark);

    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    if (!width) return; // it is not on the page
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(HEIGHT * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(HEIGHT * ratio);
    }
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, HEIGHT);
    pen.font = `12px ${style.fontFamily}`;
    const faint = colourOf(this.root, "--rx-faint");
    const extent = this.#extent();
    if (!extent) {
      pen.fillStyle = faint;
      pen.textAlign = "center";
      pen.fillText("nothing to draw yet", width / 2, HEIGHT / 2);
    } else {
      const room = (extent.high - extent.low) * 0.06 || Math.abs(extent.high) * 0.05 || 1;
      const low = extent.low - room, high = extent.high + room;
      const frame = this.#axes(pen, { ...extent, low, high }, plot, width, faint);
      pen.save();
      pen.beginPath();
      pen.rect(frame.left, frame.top, frame.right - frame.left, frame.bottom - frame.top);
      pen.clip();
      this.lines.forEach((line, place) => {
        pen.strokeStyle = colours[place % colours.length];
        pen.setLineDash(dash(place, colours.length));
        trace(pen, line, frame);
      });
      pen.restore();
      pen.setLineDash([]);
      this.#drawLooked(pen, frame, plot, faint);
    }
    this.#tell(plot);
  }

  #extent() {
    let first = Infinity, last = -Infinity, low = Infinity, high = -Infinity;
    for (const { xs, ys, begin, end } of this.lines) {
      for (let at = begin; at < end; at++) {
        const x = xs[at], y = ys[at];
        if (!isFinite(y) || !isFinite(x)) continue;
        if (x < first) first = x;
        if (x > last) last = x;
        if (y < low) low = y;
        if (y > high) high = y;
      }
    }
    return first <= last ? { first, last, low, high } : null;
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {{first: number, last: number, low: number, high: number}} extent
   * @param {Plot} plot
   * @param {number} width
   * @param {string} faint
   */
  #axes(pen, extent, plot, width, faint) {
    const { unit, x: below } = plot.axes;
    const { first, last, low, high } = extent;
    const rows = ticks(low, high, 5);
    const labels = rows.map(numberText);
    const left = Math.max(36, ...labels.map((label) => pen.measureText(label).width)) + 14;
    const frame = { left, right: width - 14, top: unit ? 24 : 10, bottom: HEIGHT - (below ? 40 : 26), first, last };
    const across = (/** @type {number} */ x) =>
      last > first ? frame.left + ((x - first) / (last - first)) * (frame.right - frame.left) : (left + frame.right) / 2;
    const up = (/** @type {number} */ y) => frame.bottom - ((y - low) / (high - low)) * (frame.bottom - frame.top);

    pen.lineWidth = 1;
    pen.strokeStyle = colourOf(this.root, "--rx-rule");
    pen.fillStyle = faint;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    rows.forEach((value, place) => {
      const y = Math.round(up(value)) + 0.5;
      pen.beginPath();
      pen.moveTo(frame.left, y);
      pen.lineTo(frame.right, y);
      pen.stroke();
      pen.fillText(labels[place], frame.left - 8, y);
    });
    pen.textAlign = "left";
    if (unit) pen.fillText(unit, frame.left, 10);
    pen.textAlign = "center";
    const count = Math.max(2, Math.floor((frame.right - frame.left) / 110));
    const columns = below ? ticks(first, last, count) : timeTicks(first, last, count);
    const step = columns.length > 1 ? columns[1] - columns[0] : last - first || 1;
    for (const value of columns) {
      const text = below ? numberText(value) : timeText(value, step);
      const half = pen.measureText(text).width / 2;
      const x = across(value);
      pen.beginPath();
      pen.moveTo(Math.round(x) + 0.5, frame.bottom);
      pen.lineTo(Math.round(x) + 0.5, frame.bottom + 4);
      pen.stroke();
      if (x - half >= 0 && x + half <= width) pen.fillText(text, x, frame.bottom + 14);
    }
    if (below) pen.fillText(below, (frame.left + frame.right) / 2, HEIGHT - 9, frame.right - frame.left);
    return { ...frame, across, up };
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {any} frame
   * @param {Plot} plot
   * @param {string} faint
   */
  #drawLooked(pen, frame, plot, faint) {
    if (this.looked === null) {
      say(this.value, "");
      return;
    }
    const pixel = Math.min(frame.right, Math.max(frame.left, this.looked * this.canvas.clientWidth));
    const x = frame.first + ((pixel - frame.left) / (frame.right - frame.left)) * (frame.last - frame.first);
    pen.strokeStyle = faint;
    pen.beginPath();
    pen.moveTo(Math.round(pixel) + 0.5, frame.top);
    pen.lineTo(Math.round(pixel) + 0.5, frame.bottom);
    pen.stroke();
    const found = [plot.axes.x ? `${plot.axes.x} ${numberText(+x.toPrecision(6))}` : timeText(x, 1)];
    this.lines.forEach((line, place) => {
      const at = nearest(line, x);
      if (at < 0) return;
      found.push(`${plot.names[place]} ${figure(line.ys[at], plot)}`);
      if (!isFinite(line.ys[at])) return;
      pen.fillStyle = pen.strokeStyle = colourOf(this.root, "--rx-ink");
      pen.beginPath();
      pen.arc(frame.across(line.xs[at]), frame.up(line.ys[at]), 3, 0, 7);
      pen.fill();
    });
    say(this.value, found.join(" · "));
  }

  /**
   * @param {string[]} names
   * @param {string[]} colours
   */
  #drawLegend(names, colours) {
    this.legend.hidden = names.length < 2;
    fit(this.legend, names, legendItem, (item, name, place) => {
      const line = item.querySelector("line");
      line.setAttribute("stroke", colours[place % colours.length]);
      line.setAttribute("stroke-dasharray", dash(place, colours.length).join(" "));
      say(item.lastElementChild, name);
      item.title = name;
    });
  }

  /** Say in words what is drawn. */
  #tell(/** @type {Plot} */ plot) {
    const summary = () => {
      const values = plot.names.map((name, place) => `${name} ${figure(lastOf(this.lines[place]), plot)}`);
      return `Plot of ${plot.axes.title}: ${values.join(", ") || "nothing yet"}`;
    };
    this.voice.say(() => {
      this.canvas.setAttribute("aria-label", `${summary()}. Arrow keys show values.`);
      return this.looked === null ? summary() : this.value.textContent ?? "";
    });
    if (!this.details.open) return;
    fit(this.rows, plot.names, () => element("tr"), (row, name, place) => {
      const line = this.lines[place] ?? new Line();
      const [least, greatest] = bounds(line);
      const figures = [lastOf(line), least, greatest].map((each) => figure(each, plot));
      fit(row, [name, ...figures, String(line.end - line.begin)], () => element("td"), say);
    });
  }

  end() {
    this.sizes.disconnect();
  }
}

function legendItem() {
  const made = element("li");
  const space = "http://www.w3.org/2000/svg";
  const swatch = document.createElementNS(space, "svg");
  swatch.setAttribute("width", "18");
  swatch.setAttribute("height", "8");
  swatch.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "line");
  for (const [name, value] of Object.entries({ x1: 0, y1: 4, x2: 18, y2: 4, "stroke-width": 2.5 })) {
    line.setAttribute(name, String(value));
  }
  swatch.append(line);
  made.append(swatch, element("span"));
  return made;
}

/**
 * @param {number} place
 * @param {number} colours how many there are
 */
function dash(place, colours) {
  return DASHES[Math.floor(place / colours) % DASHES.length];
}

/** @param {Line | undefined} line */
function lastOf(line) {
  return line && line.end > line.begin ? line.ys[line.end - 1] : NaN;
}

/** @param {Line} line */
function bounds({ ys, begin, end }) {
  let low = NaN, high = NaN;
  for (let at = begin; at < end; at++) {
    if (!isFinite(ys[at])) continue;
    if (!(ys[at] >= low)) low = ys[at];
    if (!(ys[at] <= high)) high = ys[at];
  }
  return [low, high];
}

/**
 * Which point of a line is the nearest to a place; -1 for none.
 * @param {Line} line
 * @param {number} x
 */
function nearest({ xs, begin, end }, x) {
  let found = -1, best = Infinity;
  for (let at = begin; at < end; at++) {
    const distance = Math.abs(xs[at] - x);
    if (distance <= best) [found, best] = [at, distance];
  }
  return found;
}

/**
 * Draw a line; of many points in one column of pixels the first, the least, the greatest and the last.
 * @param {CanvasRenderingContext2D} pen
 * @param {Line} line
 * @param {any} frame
 */
function trace(pen, { xs, ys, begin, end }, { across, up }) {
  let isDown = false, column = NaN;
  let low = 0, high = 0, last = 0;
  const leave = () => {
    if (low !== high) {
      pen.lineTo(column, low);
      pen.lineTo(column, high);
      pen.lineTo(column, last);
    }
  };
  pen.lineWidth = 1.5;
  pen.lineJoin = "round";
  pen.lineCap = "round"; // so that a point alone is seen, too
  pen.beginPath();
  for (let at = begin; at < end; at++) {
    if (!isFinite(ys[at]) || !isFinite(xs[at])) {
      if (isDown) leave();
      isDown = false;
      continue;
    }
    const x = Math.round(across(xs[at]) * 2) / 2, y = up(ys[at]);
    if (isDown && x === column) {
      low = Math.min(low, y);
      high = Math.max(high, y);
    } else {
      if (isDown) leave();
      if (isDown) pen.lineTo(x, y);
      else {
        pen.moveTo(x, y);
        pen.lineTo(x + 0.01, y); // a line of no length is not drawn
      }
      column = x;
      low = high = y;
    }
    last = y;
    isDown = true;
  }
  if (isDown) leave();
  pen.stroke();
}

/**
 * Whether a colour, as the browser computes it, is nearer to white than to black.
 * @param {string} colour
 */
function isLight(colour) {
  const [red, green, blue] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  return 0.3 * red + 0.6 * green + 0.1 * blue > 128;
}

/**
 * The colour that a property of the style sheet comes to, which a canvas can't find out by itself.
 * @param {HTMLElement} root
 * @param {string} name
 */
function colourOf(root, name) {
  const probe = /** @type {HTMLElement} */ (
    root.querySelector(":scope > .rx-probe") ?? root.appendChild(element("i", "rx-probe"))
  );
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

export default {
  /**
   * Show a view in an element; what is returned ends that.
   * @param {{model: any, el: HTMLElement}} place
   */
  render({ model, el }) {
    const root = element("div", "rxsocket");
    const note = element("div", "rx-note");
    const standing = new Standing();
    note.hidden = true;
    note.append(standing.element);
    el.append(root);
    let drawn = 0; // how many frames, which the page can be asked for
    let received = 0; // the number of the last frame; all up to it are drawn at once
    let told = 0; // up to which the kernel knows
    let isAsked = false;
    let request = 0;

    const ask = () => {
      isAsked = true;
      model.send({ ask: true });
    };
    const soon = () => {
      request ||= requestAnimationFrame(() => {
        request = 0;
        view.draw();
        if (received === told) return; // it was drawn again for the reader alone
        told = received;
        root.dataset.drawn = String(++drawn);
        model.send({ drawn: received });
      });
    };
    /** @param {Frame} frame @param {DataView[]} buffers */
    const take = (frame, buffers) => {
      if (frame.note) standing.show(frame.note.mood, frame.note.text);
      note.hidden = !frame.note;
      if (view.take(frame, buffers)) {
        isAsked = false;
        received = frame.number;
        soon();
      } else if (!isAsked) ask();
    };

    const press = () => model.send({ press: true });
    const view = model.get("kind") === "plot" ? new PlotView(root, soon) : new SheetView(root, press);
    root.dataset.drawn = "0";
    root.append(note);
    // Told when the way to the kernel is cut, as by its restart: what is drawn is old then, until a frame comes.
    const lost = () => {
      standing.show("over", "the kernel is gone");
      note.hidden = false;
    };
    model.on("msg:custom", take);
    model.on("comm_live_update", lost);
    ask();
    return () => {
      model.off("msg:custom", take);
      model.off("comm_live_update", lost);
      cancelAnimationFrame(request);
      view.end();
    };
  },
};
