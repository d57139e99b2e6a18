"use strict";
/* Brings the still pictures of a report to life: zoom, cursor, values. It reads the curves from their SVG paths, so
   that what is printed and what is zoomed are the same numbers. A section is drawn when it is first opened. */
(() => {
  const STEPS = 50000, SLOTS = 8, LANE = 12, NARROWEST = 7;
  const INK = "#16202a", SOFT = "#59636d", GRID = "#e3e7ea", LEVEL = "#a4161a";
  const FONT = '10.5px "DejaVu Sans", Arial, sans-serif';

  /** Corners of a path of M and l commands in whole numbers; `begins` where a line begins. */
  function corners(d) {
    const found = [];
    for (const part of d.split("M").slice(1)) {
      const numbers = part.match(/-?\d+/g).map(Number);
      const alone = numbers.length === 4 && !numbers[2] && !numbers[3];
      let x = 0, y = 0;
      for (let k = 0; k < (alone ? 2 : numbers.length); k += 2) {
        x += numbers[k];
        y += numbers[k + 1];
        found.push({ x, y, begins: k === 0 });
      }
    }
    return found;
  }

  /** The values of a curve at every slot, null in its gaps. */
  function valuesOf(path, slots) {
    const low = Number(path.dataset.low), unit = (Number(path.dataset.high) - low) / STEPS;
    const values = new Array(slots).fill(null);
    let before = null;
    for (const corner of corners(path.getAttribute("d"))) {
      if (before && !corner.begins) {
        const slope = (corner.y - before.y) / (corner.x - before.x);
        for (let x = before.x + 1; x < corner.x; x++) values[x] = low + unit * (before.y + slope * (x - before.x));
      }
      values[corner.x] = low + unit * corner.y;
      before = corner;
    }
    return values;
  }

  /** Points without a neighbour, which no line would show. */
  function loners(values) {
    const empty = (k) => values[k] === null || values[k] === undefined;
    return [...values.keys()].filter((k) => !empty(k) && empty(k - 1) && empty(k + 1));
  }

  const touch = (a, b) => a.begin < b.end && a.end > b.begin;

  /** Rows of labels above a plot, none on another: from the right to the left, each above all it would touch. */
  function rows(texts, right, lanes, measure) {
    const labels = [];
    for (const each of [...texts].reverse()) {
      const wide = measure(each.text) + 8, left = each.x + wide > right;
      const label = { ...each, left, begin: left ? each.x - wide : each.x, end: left ? each.x : each.x + wide };
      const below = new Set(labels.filter((other) => touch(label, other)).map((other) => other.lane));
      label.lane = Math.max(-1, ...below) + 1;
      if (label.lane >= lanes && label.short) for (label.lane = 0; below.has(label.lane); label.lane++);
      labels.push(label);
    }
    return labels.reverse();
  }

  /** What stands at each label: a name; or a number, or numbers too close to part. */
  function textsOf(marks, numbered) {
    const texts = [];
    for (const mark of marks) {
      const last = texts.at(-1), short = numbered.has(mark.number);
      if (short && last && last.short && mark.x - last.x < NARROWEST) {
        last.members.push(mark.number);
        last.text = `${last.members[0]}–${mark.number}`;
      } else texts.push({ x: mark.x, text: short ? `${mark.number}` : mark.text, short, members: [mark.number] });
    }
    return texts;
  }

  /** The labels that there is no row for, with all that touch them, and all that touch those. */
  function crowdOf(labels, lanes) {
    const found = new Set(labels.filter((label) => label.lane >= lanes));
    for (const label of found) for (const other of labels) if (touch(label, other)) found.add(other);
    return [...found].flatMap((label) => label.members);
  }

  /** Labels by name; in a crowd by number, the closest first, until there are rows enough. The same as in labels.py. */
  function lay(marks, right, lanes, measure) {
    const apart = (k, n) => (marks[n] ? Math.abs(marks[n].x - marks[k].x) : Infinity);
    const room = new Map(marks.map((mark, k) => [mark.number, Math.min(apart(k, k - 1), apart(k, k + 1))]));
    const numbered = new Set();
    for (;;) {
      const labels = rows(textsOf(marks, numbered), right, lanes, measure);
      const crowd = crowdOf(labels, lanes).filter((number) => !numbered.has(number));
      if (!crowd.length) return labels;
      numbered.add(crowd.sort((a, b) => room.get(a) - room.get(b) || a - b)[0]);
    }
  }

  /** The value at a slot, or at the next one in its span that has one. */
  function near(values, k) {
    for (let away = 0; away < SLOTS; away++) {
      const found = values[k - away] ?? values[k + away] ?? null;
      if (found !== null) return found;
    }
    return null;
  }

  const digits = (value, count) => String(Number(value.toPrecision(count)));
  const axis = (label, size) => ({
    label, size, font: FONT, labelFont: FONT, labelSize: 16, labelGap: 0, stroke: INK,
    values: (_, splits) => splits.map((value) => digits(value, 6)),
    grid: { stroke: GRID, width: 1 }, ticks: { stroke: GRID, width: 1, size: 4 },
  });
  const style = (path) => {
    const css = getComputedStyle(path);
    const dash = css.strokeDasharray === "none" ? [] : css.strokeDasharray.split(",").map(parseFloat);
    return { stroke: css.stroke, width: parseFloat(css.strokeWidth), dash, fill: css.fill, opacity: css.fillOpacity };
  };

  class Flight {
    constructor(section) {
      const { from, to, top, symbol } = section.dataset;
      Object.assign(this, { section, symbol, from: Number(from), to: Number(to) });
      this.lanes = Math.round((Number(top) - 6) / LANE);
      this.marks = [...section.querySelectorAll(".events-on-plots li")].map((item, k) => (
        { at: Number(item.dataset.at), text: item.dataset.name, number: k + 1 }
      ));
      this.watchers = [];
      this.plots = [...section.querySelectorAll("figure.plot")].map((figure) => this.timePlot(figure));
      this.grounds = [...section.querySelectorAll("figure.ground")].map((figure) => this.groundPlot(figure));
      addEventListener("resize", () => this.fill());
    }

    /** Give every plot the width that there is. */
    fill() {
      if (!this.section.open) return;
      for (const u of [...this.plots, ...this.grounds]) u.setSize({ width: this.width(u.root), height: u.height });
      for (const u of this.grounds) u.fit();
    }

    width(element) {
      return Math.max(320, element.closest("figure").clientWidth);
    }

    zoom(from, to, at) {
      for (const u of this.plots) {
        u.setScale("x", { min: from, max: to });
      }
      if (at !== null) setTimeout(() => this.point(at));  // when the scales are set
    }

    point(at) {
      for (const u of this.plots) u.setCursor({ left: u.valToPos(at, "x"), top: 20 });
    }

    timePlot(figure) {
      const unit = figure.dataset.unit, ends = [Number(figure.dataset.bottom), Number(figure.dataset.top)];
      const paths = [...figure.querySelectorAll(".curves path:not(.level)")];
      const levels = [...figure.querySelectorAll(".still .level")].map((path) => Number(path.dataset.value));
      const slots = Number(figure.dataset.slots), width = (this.to - this.from) / slots;
      const times = Array.from({ length: slots }, (_, k) => this.from + (k + 0.5) * width);
      const values = paths.map((path) => valuesOf(path, slots));
      const whole = (u) => u.scales.x.min <= this.from && u.scales.x.max >= this.to;
      figure.classList.add("drawn");
      const u = new uPlot({
        width: this.width(figure), height: 168 + 46 + LANE * this.lanes, legend: { show: false },
        padding: [6 + LANE * this.lanes, 12, 0, 0],
        scales: {
          x: { time: false, range: (_, low, high) => this.range(times, low, high) },
          y: { range: (u, low, high) => (whole(u) || low === null ? ends : uPlot.rangeNum(low, high, 0.1, true)) },
        },
        axes: [axis(`${this.symbol} [s]`, 30), axis(unit, 46)],
        series: [{}, ...paths.map((path, k) => this.series(path, values[k]))],
        cursor: { y: false, sync: { key: this.section.id, setSeries: false }, drag: { x: true, y: false } },
        hooks: { draw: [(u) => this.drawLevels(u, levels), (u) => this.drawMarks(u)] },
      }, [times, ...values], figure.querySelector(".live"));
      this.listen(figure, u, times, values);
      figure.uplot = u;
      return u;
    }

    range(times, low, high) {
      const all = low === null || (low <= times[0] && high >= times.at(-1));
      return all ? [this.from, this.to] : [low, high];
    }

    series(path, values) {
      const { stroke, width, dash } = style(path), alone = loners(values);
      return {
        stroke, width, dash,
        points: { show: alone.length > 0, size: 4, fill: stroke, filter: () => alone },
        ...(path.classList.contains("step") ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
      };
    }

    /** Values at the cursor beside the names; a click on a name hides its curve. */
    listen(figure, u, times, values) {
      const items = [...figure.querySelectorAll(".keys .curve")];
      const time = document.createElement("li");
      time.append(document.createElement("output"));
      figure.querySelector(".keys").prepend(time);
      const show = (u) => {
        const k = u.cursor.idx, seen = k !== null && k !== undefined && u.cursor.left >= 0;
        time.firstChild.value = seen ? this.clock(times[k]) : "";
        items.forEach((item, n) => {
          const value = seen ? near(values[n], k) : null;
          item.querySelector("output").value = seen ? (value === null ? "no data" : digits(value, 5)) : "";
        });
        for (const watch of this.watchers) watch(seen ? times[k] : null);
      };
      (u.hooks.setCursor ??= []).push(show);
      items.forEach((item, n) => item.addEventListener("click", () => {
        u.setSeries(n + 1, { show: item.classList.toggle("off") === false });
      }));
    }

    clock(time) {
      const text = `${Math.abs(time).toFixed(2)} s`, minus = time < 0;
      return this.symbol === "T+" ? `T${minus ? "−" : "+"}${text}` : `${this.symbol} ${minus ? "−" : ""}${text}`;
    }

    drawLevels(u, levels) {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      ctx.strokeStyle = LEVEL;
      ctx.lineWidth = uPlot.pxRatio;
      ctx.setLineDash([7 * uPlot.pxRatio, 3 * uPlot.pxRatio]);
      for (const value of levels) {
        const y = u.valToPos(value, "y", true);
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
      }
      ctx.restore();
    }

    drawMarks(u) {
      const { ctx, bbox } = u, ratio = uPlot.pxRatio, { min, max } = u.scales.x;
      const inside = this.marks.filter((mark) => mark.at >= min && mark.at <= max);
      ctx.save();
      ctx.scale(ratio, ratio);
      ctx.font = FONT;
      const top = bbox.top / ratio, bottom = (bbox.top + bbox.height) / ratio;
      const placed = inside.map((mark) => ({ ...mark, x: u.valToPos(mark.at, "x", true) / ratio }));
      const labels = lay(placed, u.width, this.lanes, (text) => ctx.measureText(text).width);
      ctx.strokeStyle = SOFT;
      ctx.setLineDash([3, 3]);
      const lane = (label) => top - 3 - LANE * label.lane;
      for (const label of labels) {
        ctx.beginPath();
        ctx.moveTo(label.x, lane(label) - 9);
        ctx.lineTo(label.x, bottom);
        ctx.stroke();
      }
      ctx.setLineDash([]);
      ctx.lineJoin = "round";
      for (const label of labels) {
        ctx.textAlign = label.left ? "right" : "left";
        const x = label.x + (label.left ? -3 : 3);
        ctx.lineWidth = 4;
        ctx.strokeStyle = "#fff";
        ctx.strokeText(label.text, x, lane(label));
        ctx.fillStyle = INK;
        ctx.fillText(label.text, x, lane(label));
      }
      ctx.restore();
    }

    /** A ground track: uPlot gives axes, zoom and cursor; paths and areas are drawn here, in one scale. */
    groundPlot(figure) {
      const [east, north] = figure.dataset.origin.split(" ").map(Number), step = Number(figure.dataset.step);
      const [w, s, e, n] = figure.dataset.box.split(" ").map(Number);
      const metres = ({ x, y, begins }) => ({ x: east + x * step, y: north + y * step, begins });
      const shapes = [...figure.querySelectorAll(".paths path")].map((path) => ({
        ...style(path), path, corners: corners(path.getAttribute("d")).map(metres),
      }));
      const places = [...figure.querySelectorAll(".placed")].map(({ dataset, firstElementChild }) => ({
        ...metres({ x: Number(dataset.x), y: Number(dataset.y) }),
        symbol: new Path2D(firstElementChild.getAttribute("d")),
      }));
      let view = [w, s, e, n];
      figure.classList.add("drawn");
      const u = new uPlot({
        width: this.width(figure), height: 540, legend: { show: false }, padding: [8, 12, 0, 0],
        scales: { x: { time: false, range: () => [view[0], view[2]] }, y: { range: () => [view[1], view[3]] } },
        axes: [axis("east of the pad [m]", 30), axis("north of the pad [m]", 54)],
        series: [{}, { stroke: "transparent", points: { show: false } }],
        cursor: { drag: { x: true, y: true, setScale: false }, points: { show: false } },
        hooks: {
          draw: [(u) => this.drawShapes(u, shapes), (u) => this.drawPlaces(u, places)],
          setSelect: [(u) => {
            const { left, top, width, height } = u.select;
            if (width < 4 || height < 4) return;
            const x = [left, left + width].map((at) => u.posToVal(at, "x"));
            const y = [top + height, top].map((at) => u.posToVal(at, "y"));
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            u.fit([x[0], y[0], x[1], y[1]]);
          }],
        },
      }, [[w, e], [s, n]], figure.querySelector(".live"));
      u.fit = (box = [w, s, e, n]) => {
        const scale = Math.max((box[2] - box[0]) / u.bbox.width, (box[3] - box[1]) / u.bbox.height);
        const x = (box[0] + box[2]) / 2, y = (box[1] + box[3]) / 2;
        const wide = (scale * u.bbox.width) / 2, high = (scale * u.bbox.height) / 2;
        view = [x - wide, y - high, x + wide, y + high];
        u.batch(() => {
          u.setScale("x", { min: view[0], max: view[2] });
          u.setScale("y", { min: view[1], max: view[3] });
        });
      };
      u.over.addEventListener("dblclick", () => u.fit());
      const width = (this.to - this.from) / Number(figure.dataset.slots);
      const tracks = shapes.filter(({ path }) => path.classList.contains("track"));
      for (const shape of tracks) this.follow(u, shape, (time) => Math.floor((time - this.from) / width));
      u.fit();
      figure.uplot = u;
      return u;
    }

    /** A dot where the vehicle is at the cursor of the plots over time. */
    follow(u, shape, spanOf) {
      const dot = document.createElement("div"), first = Number(shape.path.dataset.first);
      dot.className = "dot";
      dot.style.background = shape.stroke;
      u.over.append(dot);
      this.watchers.push((time) => {
        const at = time === null ? undefined : shape.corners[spanOf(time) - first];
        dot.style.display = at ? "block" : "none";
        if (at) dot.style.transform = `translate(${u.valToPos(at.x, "x")}px,${u.valToPos(at.y, "y")}px)`;
      });
    }

    drawShapes(u, shapes) {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      for (const shape of shapes) {
        ctx.beginPath();
        for (const { x, y, begins } of shape.corners) {
          ctx[begins ? "moveTo" : "lineTo"](u.valToPos(x, "x", true), u.valToPos(y, "y", true));
        }
        ctx.globalAlpha = shape.fill === "none" ? 0 : Number(shape.opacity);
        ctx.fillStyle = shape.fill;
        if (ctx.globalAlpha) ctx.fill();
        ctx.globalAlpha = 1;
        ctx.strokeStyle = shape.stroke;
        ctx.lineWidth = shape.width * uPlot.pxRatio;
        ctx.setLineDash(shape.dash.map((each) => each * uPlot.pxRatio));
        ctx.stroke();
      }
      ctx.restore();
    }

    drawPlaces(u, places) {
      const { ctx } = u;
      for (const { x, y, symbol } of places) {
        ctx.save();
        ctx.translate(u.valToPos(x, "x", true), u.valToPos(y, "y", true));
        ctx.scale(uPlot.pxRatio, uPlot.pxRatio);
        ctx.strokeStyle = ctx.fillStyle = INK;
        ctx.lineWidth = 1.6;
        ctx.fill(symbol);
        ctx.stroke(symbol);
        ctx.restore();
      }
    }
  }

  const flights = new Map();
  let printing = false;

  function open(section) {
    section.open = true;
    if (!flights.has(section)) flights.set(section, new Flight(section));
    return flights.get(section);
  }

  /** `#flight-3` opens a section; `#flight-3:18:32` shows T+18 to T+32 s; `#flight-3:18:32:20.1` sets the cursor. */
  function follow() {
    const [id, ...numbers] = location.hash.slice(1).split(":");
    const section = document.getElementById(id), [from, to, at] = numbers.map(Number);
    if (!section || !section.matches("details.flight")) return;
    const flight = open(section);
    if (from < to) flight.zoom(from, to, Number.isFinite(at) ? at : null);
    section.scrollIntoView();
  }

  document.documentElement.classList.add("scripted");
  const sections = [...document.querySelectorAll("details.flight")];
  for (const section of sections) {
    section.addEventListener("toggle", () => {
      if (section.open && !printing) open(section).fill();
    });
  }
  let closed = [];
  addEventListener("beforeprint", () => {
    printing = true;
    closed = sections.filter((section) => !section.open);
    for (const section of closed) section.open = true;
  });
  addEventListener("afterprint", () => {
    for (const section of closed) section.open = false;
    printing = false;
  });
  addEventListener("hashchange", follow);
  follow();
})();
