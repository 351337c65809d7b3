/* The page: head, trend, filters, failures, matrix, and the dialog of a cell. */

const at = (id) => document.getElementById(id);
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
const VERDICTS = { green: "good", red: "bad", partial: "odd", "harness-bug": "bad" };

function head() {
  at("verdict").textContent = data.told;
  at("verdict").className = VERDICTS[data.verdict];
  const counts = new Map();
  for (const each of cases) counts.set(each.state, (counts.get(each.state) || 0) + 1);
  for (const state of [...RANK].reverse()) {
    if (counts.has(state)) at("counts").append(tag(state, `${counts.get(state).toLocaleString("en")} ${STATES[state][2]}`));
  }
  at("reasons").hidden = !data.reasons.length;
  at("reasons").append(...data.reasons.map((reason) => make("li", {}, reason)));
  at("about").firstElementChild.textContent = data.about;
  for (const [name, value] of data.facts) at("facts").append(make("dt", {}, name), make("dd", {}, value));
}

function stack(counts) {
  const bar = make("span", { class: "stack", "aria-hidden": "true" });
  for (const colour of ["good", "none", "odd", "bad"]) {
    if (!counts[colour]) continue;
    const part = make("i", { class: colour });
    part.style.flexGrow = counts[colour];
    bar.append(part);
  }
  return bar;
}

function trend() {
  if (!data.history.length) return;
  at("trend").hidden = false;
  for (const run of data.history) {
    const verdict = make("span", {}, make("span", { class: `tag ${VERDICTS[run.verdict]}` }, run.verdict));
    const words = make("span", { class: "dim" }, run.words);
    at("runs").append(make("li", {}, make("time", { datetime: run.started }, run.started.replace("T", " ").replace("Z", "")), verdict, stack(run.counts), words));
  }
  for (const [title, found] of data.changes) {
    if (!found.length) continue;
    const list = make("ul", {}, ...found.map((name) => make("li", { class: "id" }, name)));
    at("changes").append(make("details", {}, make("summary", {}, `${title}: ${found.length}`), list));
  }
}

function options(name, values) {
  const select = at("filters").elements[name];
  for (const [value, text] of values) select.append(make("option", { value }, text));
}

function filters() {
  const same = (values) => [...new Set(values)].map((value) => [value, value]);
  options("agent", [["", "All"], ...same(rows.map((row) => row.agent))]);
  options("transport", [["", "All"], ...same(rows.map((row) => row.transport))]);
  options("level", [["", "All"], ["MUST", "MUST"], ["SHOULD", "SHOULD"]]);
  const states = RANK.filter((state) => cases.some((each) => each.state === state));
  options("outcome", [["", "All"], ...Object.entries(OUTCOMES), ...states.map((state) => [state, state])]);
  let waiting = 0;
  at("filters").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(show, 60); });
  at("filters").addEventListener("reset", () => setTimeout(show));
  at("filters").addEventListener("submit", (event) => event.preventDefault());
}

function openCell(clause, row, cell) {
  at("cell-title").textContent = `${clause.id}: ${row.agent}${row.transport === "-" ? "" : ` over ${row.transport}`}`;
  at("cell-text").textContent = `${clause.level}. ${clause.text}`;
  const ranked = [...cell.cases].sort((one, other) => RANK.indexOf(one.state) - RANK.indexOf(other.state));
  at("cell-cases").replaceChildren(caseList(ranked));
  at("cell").showModal();
  at("cell").scrollTop = 0;
}

function cellItem(clause, row, cell, first) {
  if (!cell) return make("td", { class: "empty" });
  const [symbol, colour, words] = STATES[cell.worst];
  const count = cell.bad ? `${cell.bad}/${cell.total}` : `${cell.total}`;
  const place = row.transport === "-" ? row.agent : `${row.agent} ${row.transport}`;
  const button = make("button", { type: "button", class: colour, tabindex: "-1" }, make("span", { class: "label" }, row.transport === "-" ? "" : `${row.transport} `), `${symbol} ${count}`);
  const told = cell.bad ? `${cell.bad} of ${plural(cell.total, "case")} failed` : `${plural(cell.total, "case")}, ${words}`;
  button.setAttribute("aria-label", `${clause.id}, ${place}: ${symbol} ${count} (${told})`);
  button.addEventListener("click", () => openCell(clause, row, cell));
  return make("td", first ? { class: "first", "data-agent": row.agent } : {}, button);
}

function tableHead(columns) {
  const agents = make("tr", {}, make("th", { scope: "col", rowspan: "2" }, "Clause"));
  const transports = make("tr");
  for (const agent of new Set(columns.map((row) => row.agent))) {
    const own = columns.filter((row) => row.agent === agent);
    agents.append(make("th", { scope: "colgroup", colspan: own.length, class: "agent" }, agent));
    own.forEach((row, index) => transports.append(make("th", { scope: "col", class: index ? "" : "agent" }, row.transport)));
  }
  return make("thead", {}, agents, transports);
}

function matrix(selected, filter) {
  const table = cells(selected, filter.level);
  const used = new Set([...table.values()].flatMap((line) => [...line.keys()]));
  const agents = [...new Set(rows.map((row) => row.agent))];
  const columns = rows.filter((row) => used.has(row.index)).sort((one, other) => agents.indexOf(one.agent) - agents.indexOf(other.agent));
  const lines = [];
  clauses.forEach((clause, index) => {
    if (!table.has(index)) return;
    const level = make("span", { class: "dim" }, ` ${clause.level}`);
    const name = make("th", { scope: "row" }, make("span", { class: "id" }, clause.id), level, make("span", { class: "text" }, clause.text));
    const line = table.get(index);
    const first = new Map(columns.filter((row) => line.has(row.index)).reverse().map((row) => [row.agent, row]));
    lines.push(make("tr", {}, name, ...columns.map((row) => cellItem(clause, row, line.get(row.index), first.get(row.agent) === row))));
  });
  if (!lines.length) return make("p", { class: "none" }, "Nothing is left by these filters.");
  const all = make("table", { "aria-labelledby": "matrix-title" }, tableHead(columns), make("tbody", {}, ...lines));
  const first = all.querySelector("td button");
  if (first) first.tabIndex = 0;
  return all;
}

function show() {
  const filter = Object.fromEntries(new FormData(at("filters")));
  const selected = select(filter);
  const failed = selected.filter((each) => isBad(each.state)).sort((one, other) => RANK.indexOf(one.state) - RANK.indexOf(other.state));
  at("shown").textContent = `${plural(selected.length, "case")} of ${cases.length.toLocaleString("en")}, ${plural(failed.length, "failure")}`;
  at("failure-list").replaceChildren(failed.length ? caseList(failed) : make("p", { class: "dim" }, "None."));
  at("table").replaceChildren(matrix(selected, filter));
}

/* Arrow keys, Home and End in the matrix: one cell at a time is in the order of Tab. */
function walk(event) {
  const cell = event.target.closest("td");
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [-1e9, 0], End: [1e9, 0] };
  const step = steps[event.key];
  if (!cell || !step) return;
  event.preventDefault();
  const lines = [...at("table").querySelectorAll("tbody tr")];
  const column = cell.cellIndex;
  const target = step[0] ? vertical(lines, lines.indexOf(cell.parentElement), column, step[0]) : horizontal(cell, step[1]);
  if (!target) return;
  event.target.tabIndex = -1;
  target.tabIndex = 0;
  target.focus();
}

function vertical(lines, from, column, step) {
  const down = Math.sign(step);
  const start = Math.abs(step) > 1 ? (down > 0 ? lines.length - 1 : 0) : from + down;
  const go = Math.abs(step) > 1 ? -down : down;
  for (let index = start; index >= 0 && index < lines.length; index += go) {
    const button = lines[index].children[column].querySelector("button");
    if (button) return button;
  }
  return null;
}

function horizontal(cell, step) {
  let next = cell;
  do next = step > 0 ? next.nextElementSibling : next.previousElementSibling;
  while (next && !next.querySelector("button"));
  return next && next.querySelector("button");
}

function absent() {
  const touched = new Set(cases.flatMap((each) => [...each.bearings.keys()]));
  const without = clauses.filter((_, index) => !touched.has(index));
  if (!without.length) return;
  at("absent").hidden = false;
  at("absent").querySelector("summary").textContent = `${plural(without.length, "clause")} without a case in this run`;
  at("absent").querySelector("p").textContent = without.map((clause) => clause.id).join(", ");
}

head();
trend();
filters();
absent();
show();
at("table").addEventListener("keydown", walk);
at("close").addEventListener("click", () => at("cell").close());
at("cell").addEventListener("click", (event) => { if (event.target === at("cell")) at("cell").close(); });
