"use strict";
(() => {
  const controls = document.getElementById("controls");
  if (!controls) return;
  const chosenClass = document.getElementById("class");
  const chosenOrder = document.getElementById("order");
  const count = document.getElementById("count");
  const list = document.getElementById("cards");
  const worstFirst = [...list.children];
  const names = new Map(worstFirst.map((card) => [card, card.querySelector(".file").textContent]));
  const collator = new Intl.Collator(undefined, { numeric: true });

  // Sorting is stable, so that ties stay worst first.
  const ORDERS = {
    worst: () => 0,
    unsure: (a, b) => a.dataset.score - b.dataset.score,
    name: (a, b) => collator.compare(names.get(a), names.get(b)),
  };

  function update() {
    for (const card of worstFirst) {
      card.hidden = chosenClass.value !== "" && card.dataset.class !== chosenClass.value;
    }
    list.append(...[...worstFirst].sort(ORDERS[chosenOrder.value]));
    const seen = worstFirst.filter((card) => !card.hidden).length;
    count.textContent = `${seen} of ${worstFirst.length} shown`;
  }

  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("change", update);
  controls.hidden = false;
  update();
})();
