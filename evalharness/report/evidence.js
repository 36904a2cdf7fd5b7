// What judges, tools and function calls show of a repeat. Texts come in pieces, each with the class of its colour.
"use strict";
const evidence = (() => {
  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  const badge = (label, className) => make("span", label, `badge ${className}`);

  const code = (pieces) => {
    const box = make("pre", undefined, "code");
    box.tabIndex = 0; // long ones scroll, and so must be reached by keys
    for (let at = 0; at < pieces.length; at += 2) box.append(pieces[at + 1] ? make("span", pieces[at], pieces[at + 1]) : pieces[at]);
    return box;
  };

  const shown = (each, open) => {
    const box = make("details", undefined, `evidence ${each.class}`);
    box.open = open;
    const summary = make("summary");
    summary.append(badge(each.label, each.class), ` ${each.title} `);
    if (each.in_box) {
      const mark = make("span", "in box", "flag");
      mark.title = "The tests ran in the program's own process, where it could have meddled with them.";
      summary.append(mark, " ");
    }
    if (each.facts) summary.append(make("span", `(${each.facts})`, "faint"), " ");
    if (each.explanation) summary.append(each.explanation);
    box.append(summary);
    for (const block of each.blocks) {
      box.append(make("h4", block.title));
      box.append(block.text.length ? code(block.text) : make("p", "Nothing.", "faint"));
    }
    return box;
  };

  const value = (json, marked) => {
    const cell = make("td");
    if (json === null) return cell;
    const text = make("code", json);
    if (marked) cell.append(make("mark"));
    (cell.firstChild ?? cell).append(text);
    return cell;
  };

  const call = (each) => {
    const table = make("table", undefined, "calls");
    const caption = make("caption");
    caption.append(make("code", each.name), " ");
    if (each.fault) caption.append(make("span", each.fault, "fault"));
    table.append(caption);
    const faulty = each.arguments.some((argument) => argument.fault);
    const head = table.createTHead().insertRow();
    for (const title of ["argument", "given", "expected", ...(faulty ? ["what is wrong"] : [])]) {
      const cell = make("th", title);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    for (const argument of each.arguments) {
      const row = body.insertRow();
      const name = make("th", argument.name);
      name.scope = "row";
      row.append(name, value(argument.given, argument.fault), value(argument.accepted, false));
      if (faulty) row.append(make("td", argument.fault, "fault"));
    }
    const scroll = make("div", undefined, "scroll");
    scroll.append(table);
    return scroll;
  };

  // Everything about one repeat, behind its texts.
  const show = (box, repeat) => {
    const { steps, tool_uses, verdicts } = repeat;
    if (steps) box.append(make("h4", "Thoughts, actions, observations"), ...steps.map((each) => shown(each, true)));
    for (const [title, all] of [["Uses of tools", tool_uses], ["Verdicts", verdicts]]) {
      if (all) box.append(make("h4", title), ...all.map((each) => shown(each, all.length <= 3)));
    }
    const calls = repeat.function_calls;
    if (calls) box.append(make("h4", "Function calls"));
    for (const [metric, text] of Object.entries(repeat.explanations ?? {})) box.append(make("p", `${metric}: ${text}`));
    if (!calls) return;
    if (calls.none_expected) box.append(make("p", "No call is expected."));
    if (!calls.calls.length) box.append(make("p", "No call was made.", "faint"));
    box.append(...calls.calls.map(call));
  };

  // What a search looks through.
  const texts = (repeat) =>
    [...(repeat.verdicts ?? []), ...(repeat.tool_uses ?? []), ...(repeat.steps ?? [])].flatMap((each) => [
      each.explanation ?? "",
      ...each.blocks.map((block) => block.text.filter((_, at) => at % 2 === 0).join("")),
    ]);

  return { badge, make, show, texts };
})();
