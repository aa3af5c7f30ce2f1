// Gives charts their points and their theme, and tables their order. No number is made here.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const points = data.points.map((row) => {
    const point = Object.fromEntries(data.fields.map((name, i) => [name, row[i]]));
    const table = data.datasets[point.dataset], { label, attack } = data.measures[point.measure];
    return { ...point, ...data.series[point.series], table, label, attack };
  });

  // --- Charts ----------------------------------------------------------------------------------
  const root = document.documentElement, paper = matchMedia("print");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => !paper.matches && (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const views = {};

  async function draw(name, { spec, measures }) {
    const own = points.filter((point) => measures.includes(point.measure)
      && (!point.hidden || find("samples")?.checked));
    const figure = find(`${name}-figure`), choices = find(`${name}-choices`), before = views[name];
    const wide = figure.clientWidth, tables = new Set(own.map((point) => point.table)).size;
    const columns = Math.min(tables, wide > 900 ? 3 : wide > 560 ? 2 : 1);
    const names = Math.max(1, Math.floor(wide / 300)); // of the legend, in a row
    const theme = data.themes[isDark() ? "dark" : "light"];
    const config = {
      ...theme,
      facet: { columns, spacing: 24 },
      view: { ...theme.view, continuousWidth: Math.min(Math.floor(wide / columns) - 62, 620), continuousHeight: columns > 1 ? 250 : 300 },
      legend: { ...theme.legend, columns: names, labelLimit: Math.floor(wide / names) - 40 },
    };
    const kept = (before?.chosen || []).map((choice) => [choice, before.view.signal(choice)]);
    choices.replaceChildren();
    const { view } = await vegaEmbed(figure, { ...spec, datasets: { points: own } }, {
      mode: "vega-lite", config, bind: choices, ast: true, renderer: "svg", actions: false, defaultStyle: false,
      tooltip: { disableDefaultStyle: true },
    });
    const chosen = (spec.params || []).filter((one) => one.bind).map((one) => one.name);
    for (const [choice, value] of kept) if (chosen.includes(choice)) view.signal(choice, value);
    await view.runAsync();
    views[name] = { view, chosen };
  }

  const redraw = () => Promise.all([
    draw("curves", data.charts[Number(find("chart").value)]),
    ...(data.tradeoff ? [draw("tradeoff", data.tradeoff)] : []),
  ]);
  find("chart").addEventListener("change", () => draw("curves", data.charts[Number(find("chart").value)]));
  find("samples")?.addEventListener("change", redraw);
  const follow = () => {
    find("theme").setAttribute("aria-pressed", String(isDark()));
    redraw();
  };
  for (const media of [system, paper]) media.addEventListener("change", follow);
  find("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    follow();
  });
  let width = 0; // text keeps its size at any width: charts are drawn anew instead of being scaled
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) < 1) return;
    width = entry.contentRect.width;
    follow();
  }).observe(find("curves-figure"));

  // --- Tables ----------------------------------------------------------------------------------
  const MOST_ROWS = 1000; // more at once would make the page slow, and nobody reads on

  function add(parent, name, attributes = {}, text) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
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

  for (const table of document.querySelectorAll("table.sortable")) {
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

  function listRanks() {
    const words = find("filter-text").value.trim().toLowerCase();
    const is = (name, value) => {
      const wanted = find(`filter-${name}`).value;
      return wanted === "" || wanted === value || Number(wanted) === value;
    };
    const all = points.filter((point) => point.kind !== "ceiling");
    const found = all.filter((point) => is("dataset", point.dataset) && is("measure", point.measure)
      && is("epsilon", point.epsilon ?? "none")
      && `${point.name} ${point.table} ${point.label}`.toLowerCase().includes(words));
    const body = find("ranks").tBodies[0], short = (value) => String(Number(value.toPrecision(4)));
    body.replaceChildren();
    for (const point of found.slice(0, MOST_ROWS)) {
      const row = add(body, "tr");
      add(row, "th", { scope: "row" }, point.name);
      add(row, "td", {}, point.table);
      add(row, "td", {}, point.label);
      const number = (value, said = short) => add(row, "td", { class: "number", "data-value": value ?? "" },
        value === null ? "–" : said(value));
      number(point.epsilon);
      number(point.mean, () => point.text);
      number(point.seeds);
      number(point.rank).classList.toggle("first", point.rank === 1);
      number(point.mean_rank, (value) => `${value.toFixed(2)} of ${point.blocks}`);
    }
    sort(find("ranks"));
    const cut = found.length > MOST_ROWS ? `; the first ${MOST_ROWS} are listed, filter for others` : "";
    find("count").textContent = `${found.length} of ${all.length} rows${cut}`;
  }
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  for (const kind of ["input", "change"]) find("filters").addEventListener(kind, listRanks);
  listRanks();
})();
