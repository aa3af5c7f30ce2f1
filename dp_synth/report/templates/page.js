// Draws what Python computed: no number is made here, only placed, shown and hidden.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const points = data.points.map((row) =>
    Object.fromEntries(data.fields.map((name, i) => [name, row[i]])));
  const hidden = new Set(data.series.flatMap((series, i) => (series.hidden ? [i] : [])));
  const CEILING = data.measures.findIndex((measure) => measure.metric === "auc_ceiling");
  // The document's own drawing says what an SVG element is, so that no address stands in here.
  const SVG = document.querySelector("svg").namespaceURI;
  const NEAR_LABELS = 15; // pixels: a label nearer to one that is there would cover it

  // --- Elements ------------------------------------------------------------------------------
  function add(parent, name, attributes = {}, text) {
    const inSvg = name === "svg" || parent.namespaceURI === SVG;
    const made = inSvg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  function colored(element, series) {
    // Both themes' colours: the style sheet picks one, so that no drawing depends on the theme.
    element.style.setProperty("--light", series.look.light);
    element.style.setProperty("--dark", series.look.dark);
    element.classList.add("series", series.kind);
    return element;
  }

  function fill(select, options, chosen) {
    select.replaceChildren();
    for (const [value, text] of options) add(select, "option", { value }, text);
    select.value = chosen ?? options[0]?.[0] ?? "";
    select.disabled = options.length === 0;
  }

  function swatch(parent, series, width, height, name) {
    const svg = add(parent, "svg", { class: name, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const group = colored(add(svg, "g"), series);
    add(group, "path", { d: `M1 ${height / 2}H${width - 1}`, "stroke-dasharray": series.look.dashes || "none" });
    if (series.kind !== "ceiling") mark(group, series, width / 2, height / 2);
  }

  function mark(parent, series, x, y, said = {}) {
    const group = add(parent, "g", { class: "mark", transform: `translate(${x} ${y})`, ...said });
    add(group, "path", { d: series.look.mark });
    return group;
  }

  // --- Scales --------------------------------------------------------------------------------
  function scale([low, high], [from, to], log) {
    const place = log ? Math.log : (value) => value;
    const span = place(high) - place(low) || 1;
    return (value) => from + ((place(value) - place(low)) / span) * (to - from);
  }

  function ticks([low, high], log, most) {
    if (log && high / low > 8) {
      const powers = Array.from({ length: 16 }, (_, i) => 10 ** (i - 9));
      const steps = high / low > 500 ? [1] : [1, 2, 5];
      return powers.flatMap((power) => steps.map((step) => step * power)).filter((value) => value >= low && value <= high);
    }
    const rough = (high - low) / most, unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= rough);
    const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)];
    return Array.from({ length: Math.max(last - first + 1, 0) }, (_, i) => (first + i) * step);
  }

  const short = (value) => String(Number(value.toPrecision(4)));

  function domain(values, measure, log) {
    let low = Math.min(...values), high = Math.max(...values);
    // A distance is read from zero on; areas and scores by where they differ.
    if (!log && measure.better === "lower" && measure.low === 0 && !measure.attack) low = 0;
    if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
    if (log) return [low / (high / low) ** 0.06, high * (high / low) ** 0.06];
    const room = 0.06 * (high - low);
    // However wide an interval is, no more is shown than a share or an area can reach.
    const margin = 0.015 * ((measure.high ?? high) - (measure.low ?? low));
    return [
      low === 0 ? 0 : Math.max(low - room, (measure.low ?? -Infinity) - margin),
      Math.min(high + room, (measure.high ?? Infinity) + margin),
    ];
  }

  // --- One figure: axes, then groups of points that the keyboard can walk along ---------------
  // view: {x, y: {measure, label, log, at}, groups: [{index, line, dots}], ends, text, empty, heads}
  // dot: {x, y, xs, ys, cells, lines, tag}; xs and ys are the ends of intervals
  function drawFigure(name, view) {
    const svg = find(`${name}-figure`).querySelector("svg");
    const [width, height] = [svg.clientWidth || 640, svg.clientHeight || 380];
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    find(`${name}-text`).textContent = view.text;
    drawNumbers(svg.closest("section").querySelector("details .scroll"), view);
    const dots = view.groups.flatMap((group) => group.dots);
    const centre = { x: width / 2, y: height / 2, "text-anchor": "middle", class: "title" };
    if (!dots.length) return void add(svg, "text", centre, view.empty);
    const frame = { left: 58, right: width - 16, top: 14, bottom: height - 46 };
    const ends = view.ends(dots);
    const x = scale(ends.x, [frame.left, frame.right], view.x.log);
    const y = scale(ends.y, [frame.bottom, frame.top], view.y.log);
    drawAxes(svg, view, frame, { x, y, ends });
    const clip = `${name}-clip`;
    const size = { width: frame.right - frame.left + 8, height: frame.bottom - frame.top + 12 };
    add(add(svg, "clipPath", { id: clip }), "rect", { x: frame.left, y: frame.top - 6, ...size });
    const drawn = view.groups.map((group) => drawGroup(svg, group, { x, y, frame, clip }));
    placeTags(drawn);
    walk(svg, drawn.map((group) => group.marks).filter((marks) => marks.length));
  }

  function drawAxes(svg, view, frame, { x, y, ends }) {
    const across = view.x.at || ticks(ends.x, view.x.log, frame.right > 600 ? 7 : 4);
    let last = -Infinity;
    for (const value of across) {
      add(svg, "line", { class: "grid", x1: x(value), x2: x(value), y1: frame.top, y2: frame.bottom });
      if (x(value) - last < 30) continue;
      last = x(value);
      add(svg, "text", { x: last, y: frame.bottom + 17, "text-anchor": "middle" }, short(value));
    }
    for (const value of ticks(ends.y, view.y.log, 6)) {
      add(svg, "line", { class: "grid", x1: frame.left, x2: frame.right, y1: y(value), y2: y(value) });
      add(svg, "text", { x: frame.left - 7, y: y(value) + 4, "text-anchor": "end" }, short(value));
    }
    add(svg, "line", { class: "axis", x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom });
    for (const axis of ["x", "y"]) {
      const { chance } = view[axis].measure || {};
      if (!chance || chance < ends[axis][0] || chance > ends[axis][1]) continue;
      const [x1, x2] = axis === "x" ? [x(chance), x(chance)] : [frame.left, frame.right];
      const [y1, y2] = axis === "x" ? [frame.top, frame.bottom] : [y(chance), y(chance)];
      add(svg, "line", { class: "chance", x1, x2, y1, y2 });
      add(svg, "text", { x: x1 + 5, y: axis === "x" ? y1 + 8 : y1 - 5 }, "chance");
    }
    const centre = { x: (frame.left + frame.right) / 2, y: (frame.top + frame.bottom) / 2 };
    title(svg, centre.x, frame.bottom + 38, view.x, frame.right - frame.left);
    title(svg, 13, centre.y, view.y, frame.bottom - frame.top).setAttribute("transform", `rotate(-90 13 ${centre.y})`);
  }

  function title(svg, x, y, axis, room) {
    const made = add(svg, "text", { class: "title", "text-anchor": "middle", x, y }, axis.label + arrow(axis.measure));
    if (made.getComputedTextLength() > room + 40) made.textContent = axis.label; // the caption says it too
    return made;
  }

  function drawGroup(svg, group, { x, y, frame, clip }) {
    const series = data.series[group.index], dashes = series.look.dashes || "none";
    const root = colored(add(svg, "g", { "data-series": group.index }), series);
    const inside = add(root, "g", { "clip-path": `url(#${clip})` });
    const level = group.line === "level"; // a baseline knows no epsilon: it lies all across
    const at = (dot) => (level ? frame.right - 10 : x(dot.x));
    const path = (pairs) => pairs.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");
    const bounded = group.dots.filter((dot) => dot.ys);
    const along = (dots, height) => (level // a level has one dot, and is as wide as the frame
      ? [frame.left, frame.right].map((place) => [place, y(height(dots[0]))])
      : dots.map((dot) => [x(dot.x), y(height(dot))]));
    if (bounded.length && !group.dots.some((dot) => dot.xs)) {
      const edge = [...along(bounded, (dot) => dot.ys[1]), ...along(bounded, (dot) => dot.ys[0]).reverse()];
      add(inside, "path", { class: "band", d: `${path(edge)}Z` });
    }
    if (group.line !== "none") add(inside, "path", { d: path(along(group.dots, (dot) => dot.y)), "stroke-dasharray": dashes });
    for (const { x: a, y: b, xs, ys } of level ? [] : group.dots) {
      if (ys) add(inside, "line", { class: "bar", x1: x(a), x2: x(a), y1: y(ys[0]), y2: y(ys[1]) });
      if (xs) add(inside, "line", { class: "bar", x1: x(xs[0]), x2: x(xs[1]), y1: y(b), y2: y(b) });
    }
    const marks = group.dots.map((dot) => {
      const said = { role: "img", tabindex: "-1", "aria-label": [series.label, ...dot.lines].join(", ") };
      const made = mark(root, series, at(dot), y(dot.y), said);
      add(made, "circle", { r: 11 });
      return Object.assign(made, { dot, place: [at(dot), y(dot.y)], series: group.index });
    });
    return { root, marks };
  }

  function placeTags(drawn) {
    const taken = drawn.flatMap((group) => group.marks.map((made) => made.place));
    for (const { root, marks } of drawn) {
      for (const { dot, place: [x, y] } of [...marks].reverse()) { // of a line, the last is least crowded
        const covers = ([a, b]) => Math.hypot(a - x, b - y + 11) < NEAR_LABELS && (a !== x || b !== y);
        if (!dot.tag || taken.some(covers)) continue;
        taken.push([x, y - 11]);
        add(root, "text", { x, y: y - 8, "text-anchor": "middle", "aria-hidden": "true" }, dot.tag);
      }
    }
  }

  // Tab enters a figure once; arrows move inside it, so that no reader has to pass every point.
  function walk(svg, rows) {
    rows[0][0].setAttribute("tabindex", "0");
    const nearest = (row, [x]) => row && [...row].sort((a, b) => Math.abs(a.place[0] - x) - Math.abs(b.place[0] - x))[0];
    svg.onkeydown = (event) => {
      const made = event.target.closest(".mark");
      const i = rows.findIndex((row) => row.includes(made));
      if (i < 0) return;
      const row = rows[i], j = row.indexOf(made);
      const to = {
        ArrowRight: row[j + 1], ArrowLeft: row[j - 1], Home: row[0], End: row.at(-1),
        ArrowDown: nearest(rows[i + 1], made.place), ArrowUp: nearest(rows[i - 1], made.place),
      };
      if (event.key === "Escape") tell(null);
      if (event.key in to) event.preventDefault(); // the page would scroll
      if (!to[event.key]) return;
      made.setAttribute("tabindex", "-1");
      to[event.key].setAttribute("tabindex", "0");
      to[event.key].focus();
    };
  }

  function tell(made) {
    const tip = find("tip");
    emphasise(made ? made.series : null);
    tip.style.visibility = made ? "visible" : "hidden";
    if (!made) return;
    tip.replaceChildren();
    add(tip, "b", {}, data.series[made.series].label);
    for (const line of made.dot.lines) add(tip, "div", {}, line);
    const box = made.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = Math.min(Math.max(box.x + box.width / 2 - own.width / 2, 8), document.documentElement.clientWidth - own.width - 8);
    const above = box.y - own.height - 6;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(above > 4 ? above : box.bottom + 6) + scrollY}px`;
  }

  function emphasise(index) {
    document.querySelectorAll("figure [data-series]").forEach((group) =>
      group.classList.toggle("faint", index !== null && Number(group.dataset.series) !== index));
  }

  function drawNumbers(region, view) {
    region.replaceChildren();
    const table = add(region, "table");
    add(table, "caption", {}, view.text);
    const head = add(add(table, "thead"), "tr");
    for (const text of view.heads) add(head, "th", { scope: "col" }, text);
    const body = add(table, "tbody");
    for (const group of view.groups) {
      for (const dot of group.dots) {
        const row = add(body, "tr");
        add(row, "th", { scope: "row" }, data.series[group.index].label);
        for (const text of dot.cells) add(row, "td", { class: "number" }, text);
      }
    }
  }

  // --- What the two figures show ---------------------------------------------------------------
  const chosen = (name) => Number(find(name).value);
  const task = () => document.querySelector("input[name=task]:checked").value;
  const budget = (point) => (point.epsilon === null ? "no ε" : `ε ${short(point.epsilon)}`);
  const overSeeds = (point) => (point.seeds === null ? [] : [point.seeds === 1 ? "one seed, no interval" : `${point.seeds} seeds`]);
  const interval = (point) => (point.low === null ? null : [point.low, point.high]);
  const arrow = (measure) => ({ lower: " (low is good)", higher: " (high is good)" })[measure?.better] || "";
  const shown = (dataset, measure) => points.filter((point) =>
    point.dataset === dataset && point.measure === measure && !hidden.has(point.series));

  const attacked = (name) => data.measures.findIndex((measure) =>
    measure.attack === find("attack").value && measure.kind === find(name).value);

  function grouped(list) {
    const found = new Map();
    for (const point of list) found.set(point.series, [...(found.get(point.series) || []), point]);
    return [...found].sort(([a], [b]) => a - b);
  }

  function drawCurves() {
    const dataset = chosen("dataset");
    const index = task() === "utility" ? chosen("metric") : attacked("metric");
    const measure = data.measures[index] || data.measures[0];
    const bounded = measure.attack && measure.kind.startsWith("auc");
    const list = [...shown(dataset, index), ...(bounded ? shown(dataset, CEILING) : [])];
    const log = find("log").checked;
    // A logarithm has no place for zero: it lies at the foot.
    const least = Math.min(1, ...list.map((point) => point.mean).filter((mean) => mean > 0)) / 2;
    const atLeast = (value) => (log ? Math.max(value, least) : value);
    const groups = grouped(list).map(([series, own]) => ({
      index: series,
      line: own[0].epsilon === null ? "level" : "joined",
      dots: own.map((point) => ({
        x: point.epsilon, y: atLeast(point.mean), ys: interval(point)?.map(atLeast),
        cells: [budget(point), point.text, point.seeds ?? "–"],
        lines: [`${budget(point)}: ${point.text}`, ...overSeeds(point)],
      })),
    }));
    const table = data.datasets[dataset];
    const epsilons = data.epsilons.filter((value) => list.some((point) => point.epsilon === value));
    drawFigure("curves", {
      x: { label: "privacy budget ε", log: true, at: epsilons },
      y: { measure, label: measure.about || measure.label, log },
      groups, heads: ["Series", "ε", "Mean (95 % interval)", "Seeds"],
      text: `${measure.label}${arrow(measure)}. ${table.name}: ${table.note}.`,
      empty: "Nothing is shown: no such cell, or every series is hidden.",
      ends: () => {
        const values = list.flatMap((point) => [point.mean, ...(interval(point) || []), measure.chance ?? point.mean]);
        const around = epsilons.length ? [epsilons[0] / 1.25, epsilons.at(-1) * 1.25] : [0.5, 2];
        return { x: around, y: domain(values.map(atLeast), measure, log) };
      },
    });
    return `${measure.label}, ${table.name}: ${groups.length} series shown`;
  }

  function drawTradeoff() {
    const dataset = chosen("dataset"), up = data.measures[chosen("trade-utility")];
    const across = data.measures[attacked("trade-leakage")];
    const left = across ? shown(dataset, data.measures.indexOf(across)) : [];
    const right = shown(dataset, data.measures.indexOf(up));
    const groups = grouped(left).map(([series, own]) => ({
      index: series,
      line: own[0].epsilon === null ? "none" : "joined",
      dots: own.flatMap((leak) => right
        .filter((use) => use.series === series && use.epsilon === leak.epsilon)
        .map((use) => ({
          x: leak.mean, xs: interval(leak), y: use.mean, ys: interval(use),
          tag: leak.epsilon === null ? "" : short(leak.epsilon),
          cells: [budget(leak), leak.text, use.text],
          lines: [budget(leak), `leaks ${leak.text}`, `gives ${use.text}`],
        }))),
    })).filter((group) => group.dots.length);
    const table = data.datasets[dataset];
    const releases = up && up.task === "leakage" ? "the same releases" : "other releases of the same methods";
    drawFigure("tradeoff", {
      x: { measure: across, label: across?.label },
      y: { measure: up, label: up?.label },
      groups, heads: ["Series", "ε", "Leakage", "Utility"],
      text: `Leakage and utility of ${releases}; numbers at points are ε. ${table.name}: ${table.note}.`,
      empty: "No table has both utility and leakage of one method here.",
      ends: (dots) => ({
        x: domain(dots.flatMap((dot) => [dot.x, ...(dot.xs || []), across.chance ?? dot.x]), across),
        y: domain(dots.flatMap((dot) => [dot.y, ...(dot.ys || [])]), up),
      }),
    });
  }

  // --- Controls --------------------------------------------------------------------------------
  const ofAttacks = data.measures.filter((measure) => measure.attack);
  const kinds = [...new Map(ofAttacks.map((measure) => [measure.kind, measure.about]))];
  const attacks = [...new Map(ofAttacks.map((measure) => [measure.attack, measure.label.split(": ").at(-1)]))];
  const scores = (name) => data.measures.flatMap((measure, i) =>
    (measure.task === name && !measure.attack && i !== CEILING ? [[i, measure.label]] : []));

  function fillMetrics() {
    const utility = task() === "utility";
    fill(find("metric"), utility ? scores("utility") : kinds);
    find("attack").disabled = utility && find("tradeoff").hidden;
    suggestLog();
  }

  function suggestLog() { // rates matter near chance and near one, as on the printed figures
    find("log").checked = find("metric").value.startsWith("tpr");
  }

  function fillControls() {
    fill(find("dataset"), data.datasets.map((dataset, i) => [i, dataset.name]));
    fill(find("attack"), attacks);
    fill(find("trade-leakage"), kinds);
    // Both coordinates of a point are of the same releases wherever those were scored as well.
    fill(find("trade-utility"), scores("leakage").length ? scores("leakage") : scores("utility"));
    find("tradeoff").hidden = !attacks.length || !find("trade-utility").value;
    const [utility, leakage] = document.getElementsByName("task");
    [utility.disabled, leakage.disabled] = [!scores("utility").length, !attacks.length];
    (utility.disabled ? leakage : utility).checked = true;
    fillMetrics();
  }

  function redraw(announce = true) {
    tell(null);
    const said = drawCurves();
    if (!find("tradeoff").hidden) drawTradeoff();
    const has = new Set(points.filter((point) => point.dataset === chosen("dataset")
      && data.measures[point.measure].task === task()).map((point) => point.series));
    [...find("legend").children].forEach((item, i) => { item.hidden = !has.has(i); });
    if (announce) find("status").textContent = said;
  }

  function fillLegend() {
    const tags = { peer: "peer: declares its own budget", baseline: "baseline, no ε", ceiling: "no attack can do better" };
    data.series.forEach((series, i) => {
      const button = add(add(find("legend"), "li"), "button", { type: "button", "aria-pressed": String(!hidden.has(i)) });
      swatch(button, series, 40, 16, "sample");
      add(add(button, "span", {}, series.label), "span", { class: "tag" }, tags[series.kind]);
      button.addEventListener("click", () => show((j) => (j === i) !== !hidden.has(j)));
      for (const kind of ["pointerenter", "focus"]) button.addEventListener(kind, () => emphasise(hidden.has(i) ? null : i));
      for (const kind of ["pointerleave", "blur"]) button.addEventListener(kind, () => emphasise(null));
    });
  }

  function show(isShown) {
    const now = data.series.map((_, i) => isShown(i));
    find("legend").querySelectorAll("button").forEach((button, i) => {
      hidden[now[i] ? "delete" : "add"](i);
      button.setAttribute("aria-pressed", String(now[i]));
    });
    redraw();
  }

  // --- Tables ----------------------------------------------------------------------------------
  const MOST_ROWS = 1000; // more at once would make the page slow, and nobody reads on

  function sortable(table) {
    for (const head of table.tHead.rows[0].cells) {
      const text = head.textContent;
      head.replaceChildren();
      add(head, "button", { type: "button" }, text).addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table);
      });
    }
  }

  function sort(table) {
    const head = table.tHead.querySelector("[aria-sort]");
    const sign = head.getAttribute("aria-sort") === "ascending" ? 1 : -1;
    const key = ({ cells }) => cells[head.cellIndex].dataset.value ?? cells[head.cellIndex].textContent;
    const order = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === ""); // what has no value stays last
      return sign * (Number.isNaN(a - b) ? a.localeCompare(b) : a - b);
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => order(key(a), key(b))));
  }

  function drawRanks() {
    const words = find("filter-text").value.trim().toLowerCase();
    const [dataset, epsilon, metric] = ["dataset", "epsilon", "metric"].map((name) => find(`filter-${name}`).value);
    const text = (point) => [data.series[point.series].label, data.datasets[point.dataset].name,
      data.measures[point.measure].label].join(" ").toLowerCase();
    const all = points.filter((point) => point.measure !== CEILING);
    const is = (wanted, value) => wanted === "" || wanted === String(value);
    const found = all.filter((point) => is(dataset, point.dataset) && is(metric, point.measure)
      && is(epsilon, point.epsilon ?? "none") && text(point).includes(words));
    const body = find("ranks").tBodies[0];
    body.replaceChildren();
    found.slice(0, MOST_ROWS).forEach((point) => drawRank(body, point));
    sort(find("ranks"));
    const cut = found.length > MOST_ROWS ? `; the first ${MOST_ROWS} are listed, filter for others` : "";
    find("count").textContent = `${found.length} of ${all.length} rows${cut}`;
  }

  function drawRank(body, point) {
    const series = data.series[point.series], measure = data.measures[point.measure], row = add(body, "tr");
    const name = add(row, "th", { scope: "row", "data-value": series.label });
    swatch(name, series, 34, 14, "swatch");
    name.append(series.label);
    add(row, "td", {}, data.datasets[point.dataset].name);
    add(row, "td", { "data-value": measure.label }, measure.label + arrow(measure));
    const number = (value, said = short) => add(row, "td", { class: "number", "data-value": value ?? "" },
      value === null ? "–" : said(value));
    number(point.epsilon);
    number(point.mean, () => point.text);
    number(point.seeds);
    number(point.rank).classList.toggle("first", point.rank === 1);
    number(point.mean_rank, (value) => `${value.toFixed(2)} of ${point.blocks}`);
  }

  function fillFilters() {
    const all = [["", "all"]];
    fill(find("filter-dataset"), all.concat(data.datasets.map((dataset, i) => [i, dataset.name])));
    fill(find("filter-epsilon"), [...all, ...data.epsilons.map((value) => [value, short(value)]), ["none", "none (baselines)"]]);
    const metrics = data.measures.flatMap((measure, i) => (i === CEILING ? [] : [[i, `${measure.task}: ${measure.label}`]]));
    fill(find("filter-metric"), all.concat(metrics), metrics[0]?.[0]);
  }

  // --- Start -----------------------------------------------------------------------------------
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const showTheme = () => find("theme").setAttribute("aria-pressed", String(isDark()));
  system.addEventListener("change", showTheme);
  find("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  showTheme();
  fillControls();
  fillLegend();
  fillFilters();
  document.querySelectorAll("table.sortable").forEach(sortable);
  find("ranks").tHead.rows[0].cells[7].setAttribute("aria-sort", "ascending");
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  find("filter-text").addEventListener("input", drawRanks);
  find("main").addEventListener("change", ({ target }) => {
    if (target.form === find("filters")) return void drawRanks();
    if (target.name === "task") fillMetrics();
    if (target.id === "metric") suggestLog();
    redraw();
  });
  for (const name of ["all", "none"]) find(name).addEventListener("click", () => show(() => name === "all"));
  for (const figure of document.querySelectorAll("figure")) {
    for (const kind of ["pointerover", "focusin"]) figure.addEventListener(kind, (event) => tell(event.target.closest(".mark")));
    for (const kind of ["pointerleave", "focusout"]) figure.addEventListener(kind, () => tell(null));
  }
  drawRanks();
  // Text keeps its size at any width: the figures are drawn anew instead of being scaled.
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) < 1) return;
    width = entry.contentRect.width;
    redraw(false);
  }).observe(find("curves-figure"));
})();
