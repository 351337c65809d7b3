"use strict";
/* The report's data, and what the filters leave of it. Nothing here touches the page. */

const data = JSON.parse(document.getElementById("data").textContent);

// state: [symbol, colour, words]; the worst first
const STATES = {
  CRASH: ["✗", "bad", "crashed"],
  TIMEOUT: ["✗", "bad", "timed out"],
  FAIL: ["✗", "bad", "failed"],
  BROKEN: ["✗", "bad", "passed, but broke another check"],
  "COULD-NOT-RUN": ["?", "odd", "could not run"],
  EXPECTED: ["!", "odd", "failed as expected"],
  "NOT-APPLICABLE": ["–", "none", "not applicable"],
  PASS: ["✓", "good", "passed"],
};
const RANK = Object.keys(STATES);
const isBad = (state) => STATES[state][1] === "bad";

const checks = data.checks.map(([id, clause, level, text]) => ({ id, clause, level, text }));
const clauses = data.clauses.map(([id, level, text]) => ({ id, level, text }));
const rows = data.rows.map(([agent, transport], index) => ({ agent, transport, index }));

const cases = data.cases.map(([name, row, outcome, milliseconds, detail]) => {
  const [id, indexes] = data.names[name];
  const more = detail < 0 ? {} : data.details[detail];
  const found = data.outcomes[outcome];
  const broken = (more.broken || []).map(([index, expected, actual]) => ({ check: checks[index], expected, actual }));
  const state = more.excused ? "EXPECTED" : found === "PASS" && broken.length ? "BROKEN" : found;
  return { id, row: rows[row], checks: indexes.map((index) => checks[index]), outcome: found, state, milliseconds, ...more, brokenChecks: broken };
});

/* How a case bears on each clause: its own by its outcome, others by the checks that it found broken. */
function bearings(each) {
  const found = new Map();
  const own = each.state === "BROKEN" ? "PASS" : each.state;
  for (const check of each.checks) found.set(check.clause, [own, check.level]);
  for (const { check } of each.brokenChecks) {
    const before = found.get(check.clause);
    if (!before || !isBad(before[0])) found.set(check.clause, [each.excused ? "EXPECTED" : "BROKEN", check.level]);
  }
  return found;
}
for (const each of cases) each.bearings = bearings(each);

function haystack(each) {
  if (each.words === undefined) {
    const parts = [each.id, each.row.transport, each.row.agent, each.outcome, each.expected || "", each.actual || ""];
    for (const check of each.checks) parts.push(check.id, check.text, clauses[check.clause].text);
    for (const { check, expected, actual } of each.brokenChecks) parts.push(check.id, expected, actual);
    each.words = parts.join("\n").toLowerCase();
  }
  return each.words;
}

const OUTCOMES = { bad: "Every failure", good: "Passed", odd: "Not run or expected", none: "Not applicable" };

function fits(each, filter, words) {
  if (filter.agent && each.row.agent !== filter.agent) return false;
  if (filter.transport && each.row.transport !== filter.transport) return false;
  if (filter.outcome && each.state !== filter.outcome && STATES[each.state][1] !== filter.outcome) return false;
  if (filter.level && ![...each.bearings.values()].some(([, level]) => level === filter.level)) return false;
  return words.every((word) => haystack(each).includes(word));
}

/* The cases that the filter leaves. */
function select(filter) {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  return cases.filter((each) => fits(each, filter, words));
}

/* clause index -> row index -> {total, bad, worst, cases} */
function cells(selected, level) {
  const table = new Map();
  for (const each of selected) {
    for (const [clause, [state, at]] of each.bearings) {
      if (level && at !== level) continue;
      if (!table.has(clause)) table.set(clause, new Map());
      const line = table.get(clause);
      if (!line.has(each.row.index)) line.set(each.row.index, { total: 0, bad: 0, worst: "PASS", cases: [] });
      const cell = line.get(each.row.index);
      cell.total += 1;
      cell.bad += isBad(state) ? 1 : 0;
      cell.cases.push(each);
      if (RANK.indexOf(state) < RANK.indexOf(cell.worst)) cell.worst = state;
    }
  }
  return table;
}
