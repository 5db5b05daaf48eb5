// Dialog to choose a class by typing a part of its name.

const MAX_SHOWN = 50;

export class Classes {
  constructor(dialog, names, chosen) {
    this.dialog = dialog;
    this.names = names;
    this.chosen = chosen;
    this.input = dialog.querySelector("input");
    this.list = dialog.querySelector("ul");
    this.input.addEventListener("input", () => this.show());
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  // `likely` are the classifier's top classes, best first; they begin the list until something is typed.
  open(current, likely) {
    this.current = current;
    this.likely = likely.filter((name) => this.names.includes(name));
    this.input.value = "";
    this.show();
    this.dialog.showModal();
    this.input.focus();
  }

  matches() {
    const typed = this.input.value.trim().toLowerCase();
    const rest = this.names.filter((name) => !this.likely.includes(name));
    const all = [...this.likely, ...rest];
    if (!typed) return all;
    const words = typed.split(/\s+/);
    const found = all.filter((name) => words.every((word) => name.toLowerCase().includes(word)));
    return found.sort((a, b) => b.toLowerCase().startsWith(typed) - a.toLowerCase().startsWith(typed));
  }

  show() {
    const found = this.matches();
    this.list.replaceChildren(
      ...found.slice(0, MAX_SHOWN).map((name, i) => {
        const row = document.createElement("li");
        row.id = `class-${i}`;
        row.setAttribute("role", "option");
        row.textContent = name;
        if (name === this.current) row.append(small("current"));
        else if (this.likely.includes(name)) row.append(small("likely"));
        row.addEventListener("click", () => this.choose(name));
        row.dataset.name = name;
        return row;
      }),
    );
    if (!found.length) this.list.append(small("no class name contains this"));
    this.select(0);
  }

  select(index) {
    const rows = [...this.list.querySelectorAll("li")];
    this.selected = Math.max(0, Math.min(index, rows.length - 1));
    rows.forEach((row, i) => row.setAttribute("aria-selected", String(i === this.selected)));
    rows[this.selected]?.scrollIntoView({ block: "nearest" });
    if (rows.length) this.input.setAttribute("aria-activedescendant", rows[this.selected].id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  onKey(event) {
    if (event.key === "ArrowDown") this.select(this.selected + 1);
    else if (event.key === "ArrowUp") this.select(this.selected - 1);
    else if (event.key === "Enter") {
      const row = this.list.querySelectorAll("li")[this.selected];
      if (row) this.choose(row.dataset.name);
    } else return;
    event.preventDefault();
  }

  choose(name) {
    this.dialog.close();
    this.chosen(name);
  }
}

function small(text) {
  const element = document.createElement("small");
  element.textContent = text;
  return element;
}
