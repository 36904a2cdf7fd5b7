// The leaderboard's controls: raw or normalised scores, filters, and the facts of every cell.
"use strict";
{
  const main = document.querySelector("main");
  const rows = [...document.querySelectorAll("table.board tbody tr")];
  const filters = [...document.querySelectorAll("[data-filter]")];

  // What a column is sorted by is what its cells show.
  const scale = () => {
    const chosen = document.querySelector("input[name=scale]:checked")?.value ?? "raw";
    main.classList.toggle("normalised", chosen === "normalised");
    for (const cell of document.querySelectorAll("td[data-raw]")) cell.dataset.value = cell.dataset[chosen];
  };

  // A select wants its value; of the checkboxes of one kind, any that is checked will do, and so will no value at all.
  const fits = (row) => {
    const boxes = filters.filter((filter) => filter.type === "checkbox");
    const selects = filters.filter((filter) => filter.type !== "checkbox");
    return (
      selects.every((filter) => !filter.value || row.dataset[filter.dataset.filter] === filter.value) &&
      boxes.every((box) => box.checked || row.dataset[box.dataset.filter] !== box.value)
    );
  };
  const filter = () => {
    for (const row of rows) row.hidden = !fits(row);
    const left = rows.filter((row) => !row.hidden).length;
    document.querySelector("#count").textContent = `${left} of ${rows.length} models`;
  };
  const facts = () => main.classList.toggle("with-facts", document.querySelector("#facts").checked);

  document.querySelector(".controls").addEventListener("change", () => { scale(); filter(); facts(); });
  document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
  scale(); filter(); facts();
}
