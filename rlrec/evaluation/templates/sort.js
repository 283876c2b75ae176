"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = [...body.rows].map((row) => [row.cells[column].dataset.key, row]);
      const asNumber = keyed.every(([key]) => key === "" || Number.isFinite(Number(key)));
      keyed.sort(([a], [b]) => {
        if (a === "" || b === "") return (a === "") - (b === ""); // what was not measured comes last
        const order = asNumber ? a - b : a.localeCompare(b);
        return down ? -order : order;
      });
      body.append(...keyed.map(([, row]) => row));
    });
  });
}
