// The samples of each run: decompressed when they are wanted, fifty at a time, filtered, reached by #run-ID/sample-ID.
"use strict";
(() => {
  const { make } = evidence;

  const inflated = async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).json();
  };

  // ------------------------------------------------------------------------------------------------- one sample

  // A span counts characters as Python does, which are code points.
  const marked = (shown) => {
    const box = make("pre");
    if (!shown.span) {
      box.textContent = shown.text;
      return box;
    }
    const points = [...shown.text];
    const [begin, end] = shown.span;
    box.append(points.slice(0, begin).join(""), make("mark", points.slice(begin, end).join("")), points.slice(end).join(""));
    return box;
  };

  const number = (value) => (value === "NaN" ? "not a number" : typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value));

  const block = (box, title, content) => {
    const shown = typeof content === "string" ? make("pre", content) : content;
    shown.tabIndex = 0; // long ones scroll, and so must be reached by keys
    box.append(make("h4", title), shown);
  };

  const choices = (sample) => {
    const table = make("table");
    table.append(make("caption", "Choices: total log-likelihood in nats, the likeliest and the right one"));
    const head = table.createTHead().insertRow();
    for (const title of ["choice", "log-likelihood", ""]) {
      const cell = make("th", title);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    for (const [text, total, likeliest, right] of sample.choices) {
      const row = body.insertRow();
      row.append(make("td", text), make("td", total === null ? "–" : number(total), "number"));
      const marks = row.insertCell();
      if (likeliest) marks.append(make("mark", "likeliest"), " ");
      if (right) marks.append(make("span", "right", "good"));
    }
    return table;
  };

  const said = (box, output, place, of) => {
    const facts = [];
    if (output.tokens !== undefined) facts.push(`${output.tokens} tokens`);
    if (output.finish_reason) facts.push(`ended by ${output.finish_reason}` + (output.stop ? ` ${JSON.stringify(output.stop)}` : ""));
    const title = (of > 1 ? `Output ${place + 1} of ${of}` : "Output") + (facts.length ? ` (${facts.join(", ")})` : "");
    if (output.reasoning) block(box, "Reasoning", output.reasoning);
    block(box, title, marked(output));
  };

  const repeated = (box, repeat, shared) => {
    const last = repeat.calls > 1 ? `Prompt of the last of ${repeat.calls} calls` : "Prompt";
    const facts = [];
    if (repeat.tokens) facts.push(`${repeat.tokens} tokens`);
    if (repeat.cut) facts.push(`${repeat.cut} cut from its left`);
    if (shared) {
      const beginning = make("details");
      beginning.append(make("summary", `Beginning that all prompts share (${shared.length} characters)`), make("pre", shared));
      box.append(beginning);
    }
    if (repeat.prompt) block(box, last + (facts.length ? ` (${facts.join(", ")})` : ""), repeat.prompt);
    if (repeat.scored !== undefined) block(box, "Scored text", repeat.scored);
    repeat.outputs.forEach((output, place) => said(box, output, place, repeat.outputs.length));
    for (const text of repeat.parsed ?? []) block(box, "Text that was parsed", marked(text));
    if (repeat.votes) block(box, "Votes", Object.entries(repeat.votes).map(([answer, count]) => `${answer}: ${count}`).join("\n"));
    if (repeat.answer !== undefined) block(box, "Answer", repeat.answer);
    else if (repeat.why) block(box, "No answer", repeat.why);
    evidence.show(box, repeat);
  };

  const whole = (sample, shared, address) => {
    const box = make("div", undefined, "sample");
    if (sample.error) block(box, "Failed", sample.error);
    sample.repeats.forEach((repeat, place) => {
      if (sample.repeats.length > 1) box.append(make("h4", `Repeat ${place + 1} of ${sample.repeats.length}`));
      repeated(box, repeat, shared);
    });
    if (sample.choices) box.append(choices(sample));
    if (sample.log_likelihoods) block(box, "Log-likelihood in nats", sample.log_likelihoods.map(number).join(", "));
    if (sample.target.length) block(box, "Target", sample.target.join("\n"));
    if (sample.repeats.length > 1 && sample.answer !== null) block(box, "Answer of most repeats", sample.answer);
    const scores = Object.entries(sample.scores).map(([name, value]) => `${name} ${number(value)}`);
    box.append(make("p", [...scores, ...sample.flags].join(" · "), "faint"));
    const link = make("a", "link to this sample");
    link.href = address;
    box.append(link);
    return box;
  };

  // --------------------------------------------------------------------------------------------- a run's samples

  class Samples {
    constructor(section) {
      this.section = section;
      this.run = section.dataset.run;
      this.packed = JSON.parse(section.querySelector("script").textContent);
      this.streams = new Map();
      this.first = 0;
      this.turn = 0;
      this.list = section.querySelector(".list");
      this.status = section.querySelector("[role=status]");
      this.controls = Object.fromEntries([...section.querySelectorAll("[data-control]")].map((each) => [each.dataset.control, each]));
      const { outcome, verdict, subset, text, previous, next } = this.controls;
      for (const control of [outcome, verdict, subset]) control?.addEventListener("change", () => this.filter());
      text.addEventListener("input", () => {
        clearTimeout(this.typing);
        this.typing = setTimeout(() => this.filter(), 200);
      });
      previous.addEventListener("click", () => this.turnTo(this.first - this.packed.together));
      next.addEventListener("click", () => this.turnTo(this.first + this.packed.together));
      this.ready = Promise.all([inflated(this.packed.index), inflated(this.packed.shared)]).then(([index, shared]) => {
        this.index = index;
        this.shared = shared;
      });
    }

    stream(place) {
      if (!this.streams.has(place)) this.streams.set(place, inflated(this.packed.streams[place]));
      return this.streams.get(place);
    }

    async sample(place) {
      const { together } = this.packed;
      return (await this.stream(Math.floor(place / together)))[place % together];
    }

    address(id) {
      return `#run-${encodeURIComponent(this.run)}/sample-${encodeURIComponent(id)}`;
    }

    fits(entry) {
      const { outcome, verdict, subset } = this.controls;
      const flags = entry.flags ?? [];
      if (verdict?.value && !entry.labels?.some(([label]) => label === verdict.value)) return false;
      if (subset?.value && entry.subset !== subset.value) return false;
      switch (outcome.value) {
        case "": return true;
        case "flipped": return flags.includes("fixed") || flags.includes("broken");
        default: return entry.outcome === outcome.value || flags.includes(outcome.value);
      }
    }

    async matching() {
      await this.ready;
      const places = this.index.flatMap((entry, place) => (this.fits(entry) ? [place] : []));
      const wanted = this.controls.text.value.trim().toLowerCase();
      if (!wanted) return places;
      const found = [];
      for (const place of places) {
        const { id, error, target, choices, repeats } = await this.sample(place);
        const told = [id, error, ...target, ...(choices ?? []).map(([text]) => text)];
        for (const repeat of repeats) {
          told.push(repeat.prompt, repeat.scored, repeat.answer, ...repeat.outputs.map((output) => output.text), ...evidence.texts(repeat));
        }
        if (told.some((text) => typeof text === "string" && text.toLowerCase().includes(wanted))) found.push(place);
      }
      return found;
    }

    async filter() {
      const turn = ++this.turn;
      this.status.textContent = "looking …";
      const places = await this.matching();
      if (turn !== this.turn) return;
      this.places = places;
      this.turnTo(0);
    }

    turnTo(first) {
      const { together } = this.packed;
      this.first = Math.max(0, first);
      const shown = this.places.slice(this.first, this.first + together);
      this.list.replaceChildren(...shown.map((place) => this.row(place)));
      const last = this.first + shown.length;
      this.status.textContent = shown.length ? `${this.first + 1} to ${last} of ${this.places.length}` : "no sample fits";
      this.controls.previous.disabled = this.first === 0;
      this.controls.next.disabled = last >= this.places.length;
    }

    row(place) {
      const entry = this.index[place];
      const row = make("details");
      const summary = make("summary");
      summary.append(make("b", entry.id), " ");
      const kind = { right: "good", wrong: "bad", failed: "bad" }[entry.outcome];
      if (kind) summary.append(make("span", entry.outcome, kind), " ");
      else if (entry.score !== undefined) summary.append(make("span", number(entry.score)), " ");
      for (const flag of entry.flags ?? []) summary.append(make("span", flag, "flag"), " ");
      for (const [label, className] of entry.labels ?? []) summary.append(evidence.badge(label, className), " ");
      if (entry.answer !== undefined) summary.append(make("span", `answer ${entry.answer}`, "faint"), " ");
      if (entry.target !== undefined) summary.append(make("span", `target ${entry.target}`, "faint"));
      row.append(summary);
      row.fill = async () => {
        if (row.filled) return;
        row.filled = true;
        row.append(whole(await this.sample(place), this.shared[entry.subset ?? ""], this.address(entry.id)));
      };
      row.addEventListener("toggle", () => row.open && row.fill());
      return row;
    }

    async go(id) {
      await this.ready;
      const place = this.index.findIndex((entry) => entry.id === id);
      if (place < 0) {
        this.section.scrollIntoView();
        this.status.textContent = `sample ${id} is not in this file`;
        return;
      }
      this.turn += 1;
      const { outcome, verdict, subset, text } = this.controls;
      for (const control of [outcome, verdict, subset, text]) if (control) control.value = "";
      this.places = this.index.map((_, each) => each);
      const { together } = this.packed;
      this.turnTo(Math.floor(place / together) * together);
      const row = this.list.children[place % together];
      await row.fill();
      row.open = true;
      row.scrollIntoView();
      row.querySelector("summary").focus({ preventScroll: true });
    }
  }

  const all = new Map();
  const follow = () => {
    const found = /^#run-(.+?)\/sample-(.+)$/s.exec(location.hash);
    if (!found) return;
    try {
      all.get(decodeURIComponent(found[1]))?.go(decodeURIComponent(found[2]));
    } catch {
      // an address that nobody wrote here
    }
  };

  const sections = document.querySelectorAll("section.samples");
  if (typeof DecompressionStream === "undefined") {
    for (const section of sections) section.querySelector("[role=status]").textContent = "this browser is too old to open the samples";
    return;
  }
  const opened = [...sections].map((section) => {
    const samples = new Samples(section);
    all.set(samples.run, samples);
    return samples.filter();
  });
  Promise.all(opened).then(follow);
  window.addEventListener("hashchange", follow);
})();
