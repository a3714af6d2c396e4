"use strict";
(() => {
  const byId = (name) => document.getElementById(name);
  const index = JSON.parse(byId("index").textContent);
  const table = index.rollouts;
  const total = table.where.length;
  const SVG = "http://www.w3.org/2000/svg";
  const MARKS = {accepted: "✓", wrong_answer: "≠", runtime_error: "!", time_limit: "⏱",
    memory_limit: "▣", output_limit: "≫", compile_error: "✗", judge_error: "?"};
  const DASHES = ["", "7 3", "2 3", "9 3 2 3", "5 5", "1 4", "12 4", "3 1"];
  const NONE = 255, STEPS = 254;

  // Text of other people is only ever text: no markup is made of it.
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const draw = (tag, attributes = {}, text = null) => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== null) node.textContent = text;
    return node;
  };
  const shown = (value) => value === null || value === undefined ? "–" :
    Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
  const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

  byId("rollouts").parentNode.parentNode.querySelector("h1").textContent = index.title;
  byId("source").textContent = index.source;
  for (const note of index.notes) byId("notes").append(make("li", {}, note));
  byId("notes").hidden = !index.notes.length;

  // ---- Curves -------------------------------------------------------------------------------

  const ticks = (low, high, count) => {
    const raw = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * .999);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9 && found.length < 20; k++) found.push(k * step);
    return found;
  };

  const stacked = (series) => {
    const below = new Map();
    return series.map(({name, points}) => ({name, points: points.map(([x, y]) => {
      const low = below.get(x) || 0;
      below.set(x, low + y);
      return [x, low, low + y];
    })}));
  };

  const chart = (data, number) => {
    const title = make("h2", {id: `chart${number}`}, data.title);
    const picture = make("div", {tabindex: "0", role: "img"});
    const readout = make("p", {class: "readout", role: "status"});
    const colour = (i) => `var(--c${i % 8})`;
    // Stripes in eight directions and widths, so that areas differ without their colours as well.
    const stripes = (id, i) => {
      const size = i % 8 < 4 ? 6 : 11;
      const pattern = draw("pattern", {id, width: size, height: size, patternUnits: "userSpaceOnUse", patternTransform: `rotate(${45 * (i % 4)})`});
      pattern.append(draw("rect", {width: size, height: size, fill: colour(i), "fill-opacity": .75}),
        draw("rect", {width: i % 8 ? 1.5 : 0, height: size, fill: "var(--ground)"}));
      return pattern;
    };
    const legend = make("ul", {class: "legend"});
    data.series.forEach(({name}, i) => {
      const sample = draw("svg", {viewBox: "0 0 26 12", "aria-hidden": "true"});
      if (data.stacked) sample.append(stripes(`key${number}-${i}`, i));
      sample.append(data.stacked
        ? draw("rect", {width: 26, height: 12, fill: `url(#key${number}-${i})`})
        : draw("line", {x1: 0, x2: 26, y1: 6, y2: 6, stroke: colour(i), "stroke-width": 2.5, "stroke-dasharray": DASHES[i % 8]}));
      legend.append(make("li", {}, sample, name));
    });
    const xs = [...new Set(data.series.flatMap((one) => one.points.map((p) => p[0])))].sort((a, b) => a - b);
    const ys = data.series.flatMap((one) => one.points.map((p) => p[1]));
    const low = (data.stacked ? [0] : ys).reduce((a, b) => Math.min(a, b), data.low ?? Infinity);
    let high = (data.stacked ? [100] : ys).reduce((a, b) => Math.max(a, b), data.high ?? -Infinity);
    if (high <= low) high = low + Math.max(1, Math.abs(low) / 1e6);  // 1e20 + 1 is 1e20
    const ends = data.series.map(({name, points}) =>
      `${name}: ${shown(points[0][1])} at first, ${shown(points[points.length - 1][1])} at last`);
    picture.setAttribute("aria-label", `${data.title}. ${data.y}, by ${data.x}. ${ends.join("; ")}. Arrow keys read values.`);
    let at = -1, cursor = null, toX = null;

    const paint = () => {
      const width = picture.clientWidth || 420, height = 240;
      const left = 44, right = width - 16, top = 8, bottom = height - 22;
      const svg = draw("svg", {viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true"});
      toX = (x) => left + (right - left) * (xs.length < 2 ? .5 : (x - xs[0]) / (xs[xs.length - 1] - xs[0]));
      const toY = (y) => bottom - (bottom - top) * (y - low) / (high - low);
      for (const y of ticks(low, high, 4)) {
        svg.append(draw("line", {class: "grid", x1: left, x2: right, y1: toY(y), y2: toY(y)}));
        svg.append(draw("text", {x: left - 6, y: toY(y) + 4, "text-anchor": "end"}, shown(y)));
      }
      for (const x of ticks(xs[0], xs[xs.length - 1], Math.max(2, Math.floor(width / 90)))) {
        svg.append(draw("text", {x: toX(x), y: height - 6, "text-anchor": "middle"}, shown(x)));
      }
      if (data.stacked) {
        stacked(data.series).forEach(({points}, i) => {
          const up = points.map(([x, , y]) => `${toX(x)},${toY(y)}`);
          const back = points.map(([x, y]) => `${toX(x)},${toY(y)}`).reverse();
          svg.append(stripes(`area${number}-${i}`, i));
          svg.append(draw("polygon", {points: [...up, ...back].join(" "), fill: `url(#area${number}-${i})`, stroke: "var(--ground)", "stroke-width": 1}));
        });
      } else {
        data.series.forEach(({points}, i) => {
          svg.append(draw("polyline", {points: points.map(([x, y]) => `${toX(x)},${toY(y)}`).join(" "), fill: "none", stroke: colour(i), "stroke-width": 2, "stroke-dasharray": DASHES[i % 8]}));
          if (points.length < 30) {
            for (const [x, y] of points) svg.append(draw("circle", {cx: toX(x), cy: toY(y), r: 2.5, fill: colour(i)}));
          }
        });
      }
      cursor = draw("line", {class: "cursor", y1: top, y2: bottom, visibility: "hidden"});
      svg.append(cursor);
      picture.replaceChildren(svg);
    };
    const tell = (k) => {
      at = Math.max(0, Math.min(xs.length - 1, k));
      const x = xs[at];
      cursor.setAttribute("x1", toX(x));
      cursor.setAttribute("x2", toX(x));
      cursor.setAttribute("visibility", "visible");
      const values = data.series.map(({name, points}) => [name, points.find((p) => p[0] === x)]);
      readout.textContent = `${data.x} ${shown(x)}: ` +
        values.filter(([, p]) => p).map(([name, p]) => `${name} ${shown(p[1])}`).join(", ");
    };
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      let best = 0;
      xs.forEach((x, k) => {
        if (Math.abs(toX(x) - event.clientX + box.left) < Math.abs(toX(xs[best]) - event.clientX + box.left)) best = k;
      });
      if (best !== at) tell(best);
    });
    picture.addEventListener("keydown", (event) => {
      const moves = {ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: xs.length - 1};
      if (event.key in moves) {
        event.preventDefault();
        tell(moves[event.key]);
      }
    });
    return [make("figure", {"aria-labelledby": `chart${number}`}, title,
      make("p", {class: "expected"}, data.expected), make("p", {class: "axis"}, `↑ ${data.y}`), picture,
      make("p", {class: "axis x"}, `${data.x} →`), legend, readout), paint];
  };

  const paints = index.charts.map((data, number) => {
    const [figure, paint] = chart(data, number);
    byId("curves").append(figure);
    return paint;
  });
  if (!paints.length) byId("curves").append(make("p", {}, "There are no curves in this source."));

  // ---- Tabs ---------------------------------------------------------------------------------

  const views = ["curves", "rollouts"];
  const show = (name, focus = false) => {
    for (const view of views) {
      byId(view).hidden = view !== name;
      const tab = byId(`tab-${view}`);
      tab.setAttribute("aria-selected", String(view === name));
      tab.tabIndex = view === name ? 0 : -1;
      if (focus && view === name) tab.focus();
    }
    if (name === "curves") paints.forEach((paint) => paint());
    else renderRows(true);
  };
  for (const view of views) {
    byId(`tab-${view}`).addEventListener("click", () => show(view));
    byId(`tab-${view}`).addEventListener("keydown", (event) => {
      if (["ArrowLeft", "ArrowRight"].includes(event.key)) show(views.find((v) => v !== view), true);
    });
  }
  let resizing = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(() => byId("curves").hidden ? renderRows(true) : paints.forEach((p) => p()));
  });

  // ---- Tokens, which are read when they are looked at ----------------------------------------

  const chunks = new Map();
  const readChunk = (number) => {
    if (!chunks.has(number)) {
      chunks.set(number, (async () => {
        const packed = Uint8Array.from(atob(byId(`chunk${number}`).textContent), (c) => c.charCodeAt(0));
        const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
        const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
        const size = new DataView(bytes.buffer).getUint32(0, true);
        const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
        let at = 4 + size;
        return head.rollouts.map((one) => {
          const ids = new DataView(bytes.buffer, at, 4 * one.pieces);
          at += 4 * one.pieces;
          const pieces = Array.from({length: one.pieces}, (_, k) => head.texts[ids.getUint32(4 * k, true)]);
          const columns = new Map();
          for (const column of one.columns) {
            const written = one.pieces - one.start;
            columns.set(column, bytes.subarray(at, at + written));
            at += written;
          }
          return {...one, pieces, columns};
        });
      })());
    }
    return chunks.get(number);
  };
  const readRollout = async (row) => (await readChunk(table.chunk[row]))[table.place[row]];
  const numberOf = (column, step) => {
    if (step === NONE) return null;
    const {kind, scale: [low, high]} = index.columns[column];
    if (kind !== "signed") return low + (high - low) * step / STEPS;
    const share = step / (STEPS / 2) - 1;
    return high * share * Math.abs(share);
  };

  // ---- The table ----------------------------------------------------------------------------

  const verdictOf = (row) => table.verdict[row] === null ? null : table.verdicts[table.verdict[row]];
  const problemOf = (row) => table.problem_id[row] === null ? null : table.problem_ids[table.problem_id[row]];
  // What all ids begin with tells nothing, and takes the room of what does.
  const common = (() => {
    const [first = "", ...rest] = table.problem_ids;
    let size = rest.length ? first.lastIndexOf("/") + 1 : 0;
    for (const id of rest) while (size && !id.startsWith(first.slice(0, size))) size = first.lastIndexOf("/", size - 2) + 1;
    return size;
  })();
  const reads = {
    problem: (row) => problemOf(row) ?? table.where[row],
    verdict: verdictOf,
    reward: (row) => table.reward[row],
    stage: (row) => table.stage[row],
    step: (row) => table.step[row],
    length: (row) => table.length[row],
  };
  const inTokens = table.tokens.some(Boolean);
  const titles = {problem: "problem", verdict: "verdict", reward: index.reward, stage: "stage", step: "step",
    length: inTokens ? "tokens" : "chars"};
  const numeric = new Set(["reward", "stage", "step", "length"]);
  const here = Object.fromEntries(Object.keys(reads).map((name) =>
    [name, table.where.some((_, row) => reads[name](row) !== null)]));
  let order = table.where.map((_, row) => row), active = 0, sortedBy = null, downwards = false;
  const texts = new Map();

  const heads = {};
  for (const name of Object.keys(reads)) {
    const button = make("button", {type: "button", tabindex: "-1"}, titles[name]);
    heads[name] = make("div", {role: "columnheader", class: numeric.has(name) ? "number" : ""}, button);
    if (!here[name]) {
      heads[name].classList.add("absent");
      button.title = "This source does not tell it.";
      button.disabled = true;
    } else {
      button.title = `Sort by ${titles[name]}`;
      button.tabIndex = 0;
      button.addEventListener("click", () => {
        downwards = sortedBy === name ? !downwards : false;
        sortedBy = name;
        refresh();
      });
    }
    byId("head").append(heads[name]);
  }

  const fill = (id, values, label) => {
    const select = byId(id);
    select.append(make("option", {value: ""}, "all"));
    for (const value of values) select.append(make("option", {value: String(value)}, label ? label(value) : String(value)));
    select.disabled = !values.length;
    if (!values.length) select.title = "This source does not tell it.";
    select.addEventListener("change", refresh);
  };
  const distinct = (values) => [...new Set(values.filter((v) => v !== null))].sort((a, b) => a - b);
  fill("verdict", [...table.verdicts].sort(), (name) => `${MARKS[name] ?? "·"} ${name}`);
  fill("stage", distinct(table.stage));
  fill("step", distinct(table.step));

  const readTexts = async () => {
    for (let row = 0; row < total; row++) {
      if (texts.has(row)) continue;
      texts.set(row, await readRollout(row).then((one) => one.pieces.join("").toLowerCase(), () => ""));
    }
  };
  let asked = 0;
  async function refresh() {
    const mine = ++asked;
    const wanted = byId("search").value.trim().toLowerCase();
    const [verdict, stage, step] = ["verdict", "stage", "step"].map((id) => byId(id).value);
    if (wanted && texts.size < total) {
      byId("count").textContent = "Reading the texts ...";
      await readTexts();
      if (mine !== asked) return;
    }
    const kept = order[active];
    order = [];
    for (let row = 0; row < total; row++) {
      if (verdict && verdictOf(row) !== verdict) continue;
      if (stage && String(table.stage[row]) !== stage) continue;
      if (step && String(table.step[row]) !== step) continue;
      if (wanted && !`${problemOf(row) ?? ""} ${table.where[row]}`.toLowerCase().includes(wanted) &&
          !texts.get(row).includes(wanted)) continue;
      order.push(row);
    }
    if (sortedBy) {
      const read = reads[sortedBy], sign = downwards ? -1 : 1;
      order.sort((a, b) => {
        const [x, y] = [read(a), read(b)];
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        return sign * (typeof x === "number" ? x - y : x < y ? -1 : x > y ? 1 : 0) || a - b;
      });
    }
    for (const [name, head] of Object.entries(heads)) {
      head.setAttribute("aria-sort", sortedBy !== name ? "none" : downwards ? "descending" : "ascending");
      head.firstChild.textContent = titles[name] + (sortedBy !== name ? "" : downwards ? " ▾" : " ▴");
    }
    active = Math.max(0, order.indexOf(kept));
    const solved = order.filter((row) => verdictOf(row) === "accepted").length;
    byId("count").textContent = `${plural(order.length, "rollout")} of ${total.toLocaleString("en")}` +
      (here.verdict && order.length ? `, ${shown(100 * solved / order.length)} % accepted` : "");
    byId("table").setAttribute("aria-rowcount", order.length + 1);
    byId("rows").scrollTop = 0;
    reveal();
    renderRows(true);
  }

  const spacer = make("div", {role: "presentation"});
  byId("rows").append(spacer);
  let drawn = "";
  const rowHeight = () => parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row"));
  function renderRows(anew = false) {
    if (!total) return;  // there is no table
    const box = byId("rows"), height = rowHeight();
    const first = Math.max(0, Math.floor(box.scrollTop / height) - 8);
    const last = Math.min(order.length, Math.ceil((box.scrollTop + (box.clientHeight || 600)) / height) + 8);
    const now = `${first}-${last}-${active}`;
    if (!anew && now === drawn) return;
    drawn = now;
    spacer.style.height = `${order.length * height}px`;
    byId("head").style.paddingRight = `${8 + box.offsetWidth - box.clientWidth}px`;
    for (const row of box.querySelectorAll("[role=row]")) row.remove();
    for (let k = first; k < last; k++) {
      const row = order[k];
      const line = make("div", {role: "row", id: `row${k}`, "aria-rowindex": k + 2, "aria-selected": String(k === active)});
      line.style.top = `${k * height}px`;
      for (const name of Object.keys(reads)) {
        const value = reads[name](row);
        let text = typeof value === "number" ? shown(value) : value ?? "–";
        if (name === "verdict" && value !== null) text = `${MARKS[value] ?? "·"} ${value}`;
        const cell = make("div", {role: "gridcell", class: (numeric.has(name) ? "number" : "") + (value === null ? " absent" : "")}, text);
        if (name === "problem") {
          cell.title = `${text}, ${table.where[row]}`;
          if (common && problemOf(row) !== null) cell.textContent = `…${text.slice(common)}`;
        }
        line.append(cell);
      }
      line.addEventListener("click", () => { select(k); open(); });
      box.append(line);
    }
    if (order.length) byId("table").setAttribute("aria-activedescendant", `row${active}`);
    else byId("table").removeAttribute("aria-activedescendant");
  }
  const reveal = () => {
    const box = byId("rows"), height = rowHeight();
    if (active * height < box.scrollTop) box.scrollTop = active * height;
    else if ((active + 1) * height > box.scrollTop + box.clientHeight) box.scrollTop = (active + 1) * height - box.clientHeight;
  };
  const isNarrow = () => matchMedia("(max-width: 900px)").matches;
  const select = (k) => {
    active = Math.max(0, Math.min(order.length - 1, k));
    reveal();
    renderRows();
    if (!isNarrow() || byId("rollouts").classList.contains("open")) detail();
  };
  const open = () => {
    if (!order.length) return;
    byId("rollouts").classList.add("open");
    detail().then(() => byId("detail").querySelector(".code.program")?.focus({preventScroll: isNarrow()}));
  };
  const close = () => {
    byId("rollouts").classList.remove("open");
    renderRows(true);
    reveal();
    byId("table").focus();
  };
  byId("rows").addEventListener("scroll", () => renderRows());
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  let typing = 0;
  byId("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(refresh, 150); });
  byId("table").addEventListener("keydown", (event) => {
    if (event.target !== byId("table")) return;
    const page = Math.floor(byId("rows").clientHeight / rowHeight());
    const moves = {ArrowDown: active + 1, j: active + 1, ArrowUp: active - 1, k: active - 1, PageDown: active + page,
      PageUp: active - page, Home: 0, End: order.length - 1};
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) select(moves[event.key]);
    else if (event.key === "Enter") open();
    else return;
    event.preventDefault();
  });

  // ---- One rollout --------------------------------------------------------------------------

  let column = index.columns.findIndex((one) => one.scale), painted = null, token = -1;

  const tint = (node, step) => {
    node.classList.remove("yes", "no", "none");
    node.style.backgroundColor = "";
    if (column < 0) return;
    if (step === NONE) { node.classList.add("none"); return; }
    const {kind} = index.columns[column];
    if (kind === "flag") { node.classList.add(step > STEPS / 2 ? "yes" : "no"); return; }
    const share = kind === "signed" ? (step - STEPS / 2) / (STEPS / 2) : step / STEPS - 1;
    if (share) node.style.backgroundColor = `rgba(var(--${share > 0 ? "plus" : "minus"}), ${(.08 + .6 * Math.abs(share)).toFixed(3)})`;
  };
  const scaleBar = (area) => {
    area.replaceChildren();
    if (column < 0) { area.append("This source tells nothing of single tokens."); return; }
    const {kind, scale, meaning} = index.columns[column];
    const entry = (name, text) => make("span", {class: `key t ${name}`}, text);
    if (kind === "flag") area.append(entry("yes", "yes"), entry("no", "no"));
    else {
      const ramp = make("span", {class: "ramp"});
      const side = (name, strength) => `rgba(var(--${name}), ${strength})`;
      ramp.style.background = kind === "signed"
        ? `linear-gradient(90deg, ${side("minus", .68)}, transparent 50%, ${side("plus", .68)})`
        : `linear-gradient(90deg, ${side("minus", .68)}, transparent)`;
      area.append(shown(scale[0]), ramp, shown(scale[1]));
      area.append(make("span", {class: "meaning"}, kind === "signed" ? "by its square root" : `in steps of ${shown((scale[1] - scale[0]) / STEPS)}`));
    }
    area.append(make("span", {class: "meaning"}, meaning));
  };
  const repaint = () => {
    if (!painted) return;
    const {one, spans, area, radios} = painted;
    const steps = one.columns.get(column);
    spans.forEach((node, k) => tint(node, steps ? steps[k] : NONE));
    if (column >= 0) radios[column].checked = true;
    scaleBar(area);
  };
  const point = (k, reveal = false) => {
    if (!painted || !painted.spans.length) return;
    const {one, spans, value} = painted;
    spans[token]?.classList.remove("here");
    token = Math.max(0, Math.min(spans.length - 1, k));
    spans[token].classList.add("here");
    if (reveal) spans[token].scrollIntoView({block: "nearest"});
    const parts = index.columns.map(({title, kind}, c) => {
      if (!one.columns.has(c)) return null;
      const number = numberOf(c, one.columns.get(c)[token]);
      return `${title} ${number === null ? "–" : kind === "flag" ? (number > .5 ? "yes" : "no") : shown(number)}`;
    }).filter(Boolean);
    const text = JSON.stringify(one.pieces[one.start + token]).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
      (c) => `\\u{${c.codePointAt(0).toString(16)}}`);  // what cannot be seen is told by its number
    value.textContent = one.tokens
      ? `Token ${token + 1} of ${spans.length}, ${text}: ${parts.join(", ") || "nothing is known of it"}`
      : "Tokens are not known, only the text.";
  };

  async function detail() {
    const row = order[active], article = byId("detail");
    if (row === undefined) { article.replaceChildren(); painted = null; return; }
    let one;
    try {
      one = await readRollout(row);
    } catch (error) {
      painted = null;
      article.replaceChildren(make("p", {}, typeof DecompressionStream === "undefined"
        ? "This browser cannot unpack the tokens: it needs DecompressionStream, which browsers have since 2023."
        : `The tokens of this rollout cannot be read, perhaps the file was cut off: ${error}`));
      return;
    }
    if (order[active] !== row) return;
    const back = make("button", {type: "button", class: "back"}, "← Table");
    back.addEventListener("click", close);
    const step = (name, by) => {
      const button = make("button", {type: "button"}, name);
      button.addEventListener("click", () => select(active + by));
      return button;
    };
    const title = make("h2", {}, problemOf(row) ?? table.where[row]);
    const verdict = verdictOf(row);
    const facts = [["place", table.where[row]], ["verdict", verdict === null ? null : `${MARKS[verdict] ?? "·"} ${verdict}`],
      [index.reward, table.reward[row]], ["stage", table.stage[row]], ["step", table.step[row]],
      [one.tokens ? "tokens written" : "characters written", table.length[row]]];
    const summary = make("p", {}, facts.filter(([, value]) => value !== null)
      .map(([name, value]) => `${name} ${typeof value === "number" ? shown(value) : value}`).join(" · "));

    const choice = make("fieldset", {}, make("legend", {}, "Colour tokens by"));
    const radios = index.columns.map(({title: name, meaning}, c) => {
      const radio = make("input", {type: "radio", name: "column", value: c});
      const label = make("label", {title: one.columns.has(c) ? meaning : "This rollout has no such column."}, radio, name);
      if (!one.columns.has(c)) { radio.disabled = true; label.classList.add("absent"); }
      radio.addEventListener("change", () => { column = c; repaint(); });
      choice.append(label);
      return radio;
    });
    if (!one.columns.has(column)) column = [...one.columns.keys()][0] ?? -1;
    const area = make("div", {class: "scale"}), value = make("p", {class: "value", role: "status"});

    const code = make("div", {class: "code program", tabindex: "0", role: "group", "aria-label": "The program. Left and right arrow keys go from token to token."});
    for (const text of one.pieces.slice(one.prompt, one.start)) code.append(make("span", {class: "given", title: "given, not written by the policy"}, text));
    const spans = one.pieces.slice(one.start).map((text, k) => {
      const node = make("span", {class: "t"}, text);
      if (one.tokens && text === "") {
        node.classList.add("special");
        node.dataset.mark = k === one.pieces.length - one.start - 1 ? "■" : "·";
      } else if (one.tokens && /^\n+$/.test(text)) {
        node.classList.add("special");
        node.dataset.mark = "↵";
      }
      return node;
    });
    code.append(...spans);
    if (one.error) {
      const all = [...code.children], [first, last] = one.error.map((k) => k - one.prompt);
      for (const node of all.slice(Math.max(0, first), last)) node.classList.add("t", "wrong");
      const message = one.facts.find(([name]) => name === "error");
      const end = all[last]?.textContent.startsWith("\n") ? last + 1 : last;  // below the line, not in it
      if (last > 0) all[Math.min(all.length, end) - 1].after(make("span", {class: "fault"}, `▲ ${message ? message[1] : "the error is in this line"}`));
    }
    const places = new Map(spans.map((node, k) => [node, k]));
    const follow = (event) => { const k = places.get(event.target); if (k !== undefined && k !== token) point(k); };
    code.addEventListener("pointermove", follow);
    code.addEventListener("click", follow);
    code.addEventListener("keydown", (event) => {
      const moves = {ArrowRight: token + 1, ArrowLeft: token - 1, Home: 0, End: spans.length - 1};
      if (!(event.key in moves)) return;
      event.preventDefault();
      point(moves[event.key], true);
    });
    const prompt = one.pieces.slice(0, one.prompt).join("");
    const asked = make("details", {}, make("summary", {}, `Prompt (${one.tokens ? plural(one.prompt, "token") : plural(prompt.length, "character")})`),
      make("div", {class: "code", tabindex: "0", "aria-label": "Prompt"}, prompt || "The source does not tell it."));
    asked.open = prompt.length > 0 && prompt.length < 700;
    const list = make("dl");
    for (const [name, text] of one.facts) list.append(make("dt", {}, name), make("dd", {}, text));
    article.replaceChildren(
      make("div", {class: "bar"}, back, title, make("span", {}, step("‹ Previous", -1), " ", step("Next ›", 1))),
      summary, choice, area, value, asked,
      make("h3", {}, one.start > one.prompt ? "Program: what was given (italic, dotted), then what was written" : "What was written"), code);
    if (one.facts.length) article.append(make("h3", {}, "What is known of it"), list);
    painted = {one, spans, area, value, radios};
    token = -1;
    repaint();
    value.textContent = one.tokens ? "Point at a token, or use ← and →, to read its numbers." : "Tokens are not known, only the text.";
    article.dataset.row = row;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("rollouts").hidden) return;
    const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "radio";
    if (event.key === "Escape") { close(); return; }
    if (inField) return;
    if (event.key === "/") { event.preventDefault(); byId("search").focus(); return; }
    if (/^[1-7]$/.test(event.key) && painted?.one.columns.has(event.key - 1)) { column = event.key - 1; repaint(); return; }
    if (byId("detail").contains(event.target) && (event.key === "j" || event.key === "k")) select(active + (event.key === "j" ? 1 : -1));
  });

  // ---- Begin: "#show-curves", "#show-rollouts", or "#r12" for a rollout ---------------------------------

  byId("tab-rollouts").disabled = !total;
  byId("tab-curves").disabled = !paints.length;
  const begin = async () => {
    const asked = /^#r(\d+)$/.exec(location.hash);
    const first = location.hash === "#show-rollouts" || asked ? "rollouts" : location.hash === "#show-curves" ? "curves" : index.opens;
    if (!total) byId("list").replaceChildren(make("p", {}, "There are no rollouts in this source."));
    show(!paints.length ? "rollouts" : !total ? "curves" : first);
    if (total) {
      await refresh();
      if (asked) { active = Math.min(total - 1, Number(asked[1])); reveal(); renderRows(true); }
      if (asked) byId("rollouts").classList.add("open");
      await detail();
    }
    await frame();
    document.documentElement.dataset.painted = Math.round(performance.now());
  };
  begin();
})();
