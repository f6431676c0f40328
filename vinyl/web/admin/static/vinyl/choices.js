// A field of filter_horizontal or filter_vertical: a list of boxes that a word filters,
// beside a list of what is chosen. The <select> behind it is what is sent, and what
// there is without scripts.

const model = document.querySelector("template[data-choices]");
const FIELDS = "select.selectfilter, select.selectfilterstacked";

for (const select of document.querySelectorAll(FIELDS)) begin(select);
document.addEventListener("formset:added", (event) => {
  for (const select of event.target.querySelectorAll(FIELDS)) begin(select);
});

function begin(select) {
  const view = document.importNode(model.content, true).querySelector(".choices");
  const find = (selector) => view.querySelector(selector);
  const [search, available, chosen] = ["input", "[data-available]", "[data-chosen]"].map(find);
  const boxes = new Map();
  const name = select.dataset.fieldName;
  view.classList.toggle("stacked", select.classList.contains("selectfilterstacked"));
  view.setAttribute("aria-label", name);

  // Another script may have added an option, such as a window that adds an object.
  function build() {
    boxes.clear();
    available.replaceChildren(...[...select.options].map(item));
    update();
  }

  function item(option) {
    const box = Object.assign(document.createElement("input"), { type: "checkbox" });
    const label = document.createElement("label");
    label.append(box, " ", option.text);
    const line = document.createElement("li");
    line.append(label);
    box.addEventListener("change", () => choose([option], box.checked));
    boxes.set(option, { box, line });
    return line;
  }

  function choose(options, selected) {
    for (const option of options) option.selected = selected;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function update() {
    if (boxes.size !== select.options.length) return build();
    const words = search.value.toLowerCase().split(/\s+/);
    for (const [option, { box, line }] of boxes) {
      box.checked = option.selected;
      box.disabled = option.disabled || select.disabled;
      const text = option.text.toLowerCase();
      line.hidden = !words.every((word) => text.includes(word));
    }
    const selected = [...select.selectedOptions];
    chosen.replaceChildren(...selected.map(entry));
    const count = find("[data-count]");
    count.textContent = `${count.dataset.count.replace("%s", name)} (${selected.length})`;
  }

  function entry(option) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = "×";
    button.setAttribute("aria-label", `${chosen.dataset.removeLabel}: ${option.text}`);
    button.addEventListener("click", () => {
      const index = [...chosen.children].indexOf(line);
      choose([option], false);
      (chosen.children[Math.min(index, chosen.children.length - 1)]?.querySelector("button") || search).focus();
    });
    const line = document.createElement("li");
    line.append(option.text, " ", button);
    return line;
  }

  search.addEventListener("input", update);
  // Enter would send the form.
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  find("[data-all]").addEventListener("click", () =>
    choose([...boxes].filter(([, { line }]) => !line.hidden).map(([option]) => option), true),
  );
  find("[data-none]").addEventListener("click", () => choose([...select.options], false));
  select.addEventListener("change", update);
  select.after(view);
  select.hidden = true;
  build();
  // How to choose from a <select> is of no use here.
  const help = document.getElementById(`${select.id}_helptext`);
  if (help) help.textContent = help.textContent.replace(model.dataset.hint, "").trim();
  if (select.autofocus) search.focus();
  // A click on the label of the field leads to the search.
  for (const label of select.labels) {
    label.addEventListener("click", () => search.focus());
  }
}
