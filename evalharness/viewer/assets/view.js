// Keys, the theme, and results that change without loading the whole page. Without this script every page still works.
"use strict";

const one = (selector) => document.querySelector(selector);

// ----------------------------------------------------------------- theme

one("#theme").addEventListener("click", () => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const theme = (root.dataset.theme ?? system) === "dark" ? "light" : "dark";
  root.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // It holds for this page.
  }
});

// ----------------------------------------------------------------- results without a new page

let shown = location.pathname + location.search;
let asked = 0;

async function show(address, { push = true } = {}) {
  const mine = ++asked;
  const response = await fetch(address);
  const text = await response.text();
  if (mine !== asked) return; // something newer was asked for meanwhile
  const found = new DOMParser().parseFromString(text, "text/html");
  if (!response.ok || !found.querySelector("#results")) return void location.assign(address);
  const within = one("#results").contains(document.activeElement);
  one("#results").replaceWith(found.querySelector("#results"));
  if (within) one("#results a.row")?.focus(); // what had the focus is gone
  // The live region itself stays, so that a screen reader says what it holds now.
  one("#count").textContent = found.querySelector("#count").textContent;
  if (push) history.pushState(null, "", address);
  shown = location.pathname + location.search;
  again();
}

// The journal of a large run is still being read when its first page is there.
function again() {
  if (one("#results[data-pending]")) setTimeout(() => show(location.href, { push: false }), 200);
}

function addressOf(form) {
  const given = new URLSearchParams();
  for (const [key, value] of new FormData(form)) {
    if (value !== "" && key !== "sort" && !(key === "outcome" && value === "any")) given.append(key, value);
  }
  // A column's heading may have changed the order since the form was drawn.
  const sort = new URLSearchParams(location.search).get("sort");
  if (sort) given.set("sort", sort);
  return `${new URL(form.action).pathname}?${given}`;
}

const filters = one("#filters");
if (filters) {
  filters.addEventListener("submit", (event) => {
    event.preventDefault();
    show(addressOf(filters));
  });
  filters.addEventListener("change", (event) => {
    if (event.target.matches("select, [type=checkbox]")) show(addressOf(filters));
  });
}
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-swap], #results .turning a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  show(link.href);
});
// Back and forward: the page of that address, whole, with its fields.
addEventListener("popstate", () => {
  if (location.pathname + location.search !== shown) location.reload();
});

// ----------------------------------------------------------------- keys

const help = one("#help");
one("#help-button").addEventListener("click", () => help.showModal());

const filterButton = one("#filter-button");
function openFilter(open) {
  filterButton.setAttribute("aria-expanded", String(open));
  one("#filter").hidden = !open;
  if (open) one("#filter").querySelector("select, input").focus();
}
filterButton?.addEventListener("click", () => openFilter(one("#filter").hidden));

function goTo(field) {
  const link = one(`a[data-field="${field}"]`);
  if (link) return link.click();
  if (field === "search") one("#search")?.focus();
  else if (filterButton) openFilter(true);
  else one("#filter")?.querySelector("a")?.focus();
}

function step(by) {
  const rows = [...document.querySelectorAll("table.rows a.row")];
  if (!rows.length) return one(`main > nav a[rel=${by > 0 ? "next" : "prev"}]`)?.click();
  const at = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, at + by))].focus();
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  u: () => one("a[rel=up]")?.click(),
  "/": () => goTo("search"),
  f: () => goTo("filter"),
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return; // an open dialog closes itself on Escape
  const field = event.target.closest?.("input, select, textarea");
  if (event.key === "Escape") {
    if (field) field.blur();
    else if (filterButton && !one("#filter").hidden) openFilter(false);
  } else if (!field && KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

if (location.hash === "#search") goTo("search");
if (location.hash === "#filter") goTo("filter");
again();
