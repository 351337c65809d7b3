/* One case as HTML: its verdict, and its transcript as a timeline. Every text goes in as text. */

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const tag = (state, text = state) => make("span", { class: `tag ${STATES[state][1]}` }, text);
const time = (milliseconds) => (milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(2)} s`);
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

function pair(...lines) {
  const list = make("dl", { class: "pair" });
  for (const [name, value] of lines) list.append(make("dt", {}, name), make("dd", {}, value));
  return list;
}

function hexdump(bytes, width) {
  const lines = [];
  for (let start = 0; start < bytes.length; start += width) {
    const part = bytes.slice(start, start + width);
    const hex = Array.from(part, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = Array.from(part, (byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${start.toString(16).padStart(4, "0")}  ${hex.padEnd(width * 3 - 1)}  ${text}`);
  }
  return lines.join("\n");
}

const narrow = window.matchMedia("(max-width: 45rem)");

function payload(event) {
  if (event.text !== undefined) return make("pre", {}, event.text);
  const bytes = Uint8Array.from(atob(event.payload), (letter) => letter.charCodeAt(0));
  return make("pre", {}, hexdump(bytes, narrow.matches ? 8 : 16));
}

function eventItem(event) {
  const what = make("div", { class: "what" }, make("span", { class: "who" }, event.from === "host" ? "host → agent" : "agent → host"), ` ${event.what}`);
  if (event.text || event.payload) what.append(payload(event));
  if (event.more) what.append(make("p", { class: "dim" }, `… ${event.more.toLocaleString("en")} bytes more`));
  return make("li", { class: event.from === "host" ? "host" : "agent" }, make("span", { class: "at" }, `${event.at.toFixed(4)} s`), what);
}

function timeline(conversations) {
  const all = make("div", { class: "transcript" });
  conversations.forEach((conversation, index) => {
    const events = [make("ol", { class: "timeline" }, ...conversation.events.map(eventItem))];
    if (conversation.cut) events.push(make("p", { class: "dim" }, `… ${conversation.cut} events more`));
    const title = `Conversation ${index + 1}`;
    if (conversation.label) all.append(make("details", {}, make("summary", {}, `${title} (${conversation.label})`), ...events));
    else all.append(make("h3", {}, title), ...events);
  });
  return all;
}

function repeat(each) {
  const agent = data.agents.find((found) => found.label === each.row.agent) || data.agents[0];
  if (!agent) return "";
  const transport = each.row.transport === "-" ? "" : ` --transport ${each.row.transport}`;
  return `conform run ${quoted(agent.connectable)}${transport} --case ${quoted(each.id)}`;
}

function body(each) {
  const all = make("div", { class: "body" });
  for (const check of each.checks) {
    const words = check.text ? `${check.level}: ${check.text}` : check.level;
    all.append(make("p", {}, make("span", { class: "id" }, check.id), " ", make("span", { class: "dim" }, words)));
  }
  if (each.expected || each.actual) all.append(pair(["expected", each.expected || ""], ["actual", each.actual || ""]));
  for (const { check, expected, actual } of each.brokenChecks) {
    all.append(make("h3", {}, `Broken on the way: ${check.id}`), pair(["expected", expected], ["actual", actual]));
  }
  if (each.conversations) all.append(timeline(each.conversations));
  all.append(make("h3", {}, "Repeat"), make("pre", {}, repeat(each)));
  if (each.evidence) all.append(make("p", { class: "dim" }, `Evidence, beside this page: ${each.evidence}/`));
  return all;
}

/* A case to unfold; its body is made when it is first opened. */
function caseItem(each) {
  const title = make("span", { class: "id" }, `${each.id}@${each.row.transport}`);
  const first = each.actual || (each.brokenChecks[0] && `${each.brokenChecks[0].check.id}: ${each.brokenChecks[0].actual}`) || "";
  const summary = make("summary", {}, tag(each.state), " ", title, " ", make("span", { class: "dim" }, `${each.row.agent}, ${time(each.milliseconds)}`));
  if (first) summary.append(make("span", { class: "message" }, first.length > 160 ? `${first.slice(0, 160)}…` : first));
  const item = make("details", { class: "case" }, summary);
  item.addEventListener("toggle", () => { if (item.open && item.children.length === 1) item.append(body(each)); });
  return item;
}

/* Cases: what did not pass to unfold, what passed in one line each. `most` at once, the rest on demand. */
function caseList(found, most = 100) {
  const all = make("div");
  const open = found.filter((each) => each.state !== "PASS");
  const show = (start) => {
    all.append(...open.slice(start, start + most).map(caseItem));
    if (open.length <= start + most) return;
    const more = make("button", { type: "button" }, `Show ${Math.min(most, open.length - start - most)} more of ${open.length}`);
    more.addEventListener("click", () => { more.remove(); show(start + most); all.children[start + most].querySelector("summary").focus(); });
    all.append(more);
  };
  show(0);
  const passed = found.filter((each) => each.state === "PASS");
  if (passed.length) {
    const lines = passed.map((each) => make("li", {}, tag("PASS", "✓"), " ", make("span", { class: "id" }, each.id), " ", make("span", { class: "dim" }, time(each.milliseconds))));
    all.append(make("ul", { class: "passed" }, ...lines));
  }
  return all;
}
