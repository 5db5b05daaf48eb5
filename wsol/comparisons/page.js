"use strict";
// Filter and order of the images. Sorting is stable: ties stay in the order of the data set.
(() => {
  const list = document.getElementById("rows");
  if (!list) return;
  const byId = (id) => document.getElementById(id);
  const rows = [...list.children].map((item, position) => ({
    item,
    position,
    ious: item.dataset.ious.split(" ").filter(Boolean).map(Number),
    spread: Number(item.dataset.spread),
  }));

  function arrange() {
    const which = byId("which").value, order = byId("order").value;
    const orders = {
      data: (a, b) => a.position - b.position,
      spread: (a, b) => b.spread - a.spread,
    };
    const before = orders[order] ?? ((a, b) => (a.ious[order] ?? 2) - (b.ious[order] ?? 2));
    const shown = rows.filter((row) => which === "all" || row.item.dataset.which === which).sort(before);
    list.replaceChildren(...shown.map((row) => row.item));
    byId("count").textContent = `${shown.length} of ${rows.length} images`;
    byId("nothing").hidden = shown.length > 0;
  }

  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("controls").addEventListener("input", arrange);
  byId("controls").hidden = false;
  arrange();
})();
