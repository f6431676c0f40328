// New rows of inlines, and their removal. The page has an empty row in a <template>;
// without scripts there are the `extra` rows. Events are Django's: "formset:added" on
// the new row, "formset:removed" on the document.

for (const section of document.querySelectorAll("[data-inline]")) begin(section);

// A row may bring inlines of its own.
document.addEventListener("formset:added", (event) => {
  for (const section of event.target.querySelectorAll("[data-inline]")) begin(section);
});

function begin(section) {
  const add = own(section, "[data-add]")[0];
  if (!add) return;
  // A browser may bring back the number of rows of a page that it has left.
  counter(section, "TOTAL").value = rows(section).length;
  add.addEventListener("click", () => append(section));
  section.addEventListener("click", (event) => {
    const button = event.target.closest("[data-remove]");
    if (button && button.closest("[data-inline]") === section) remove(section, button);
  });
  update(section);
}

// What is in the section, and not in an inline within it.
function own(section, selector) {
  return [...section.querySelectorAll(selector)].filter(
    (element) => element.parentElement.closest("[data-inline]") === section,
  );
}

function rows(section) {
  return own(section, "[data-row]");
}

function counter(section, name) {
  return document.getElementById(`id_${section.dataset.inline}-${name}_FORMS`);
}

function append(section) {
  const template = own(section, "template[data-empty]")[0];
  const number = rows(section).length;
  const copy = document.importNode(template.content, true);
  renumber(copy, section.dataset.inline, number);
  const row = copy.querySelector("[data-row]");
  template.before(copy);
  counter(section, "TOTAL").value = number + 1;
  update(section);
  const detail = { formsetName: section.dataset.inline };
  row.dispatchEvent(new CustomEvent("formset:added", { bubbles: true, detail }));
  row.dispatchEvent(new Event("change", { bubbles: true }));
  row.querySelector("input:not([type=hidden]), select, textarea")?.focus();
}

function remove(section, button) {
  const row = button.closest("[data-row]");
  const index = rows(section).indexOf(row);
  if (row.previousElementSibling?.matches("[data-row-errors]")) row.previousElementSibling.remove();
  row.remove();
  const left = rows(section);
  left.slice(index).forEach((next, i) => renumber(next, section.dataset.inline, index + i));
  counter(section, "TOTAL").value = left.length;
  update(section);
  const near = left[index] || left[index - 1];
  const buttons = near ? [...near.querySelectorAll("[data-remove]:not([hidden])")] : [];
  (buttons[0] || own(section, "[data-add]")[0]).focus();
  const detail = { formsetName: section.dataset.inline };
  document.dispatchEvent(new CustomEvent("formset:removed", { detail }));
  section.dispatchEvent(new Event("change", { bubbles: true }));
}

// Saved rows come first and have no button; they are deleted when the form is saved.
function update(section) {
  const total = rows(section).length;
  const most = counter(section, "MAX_NUM").value;
  const least = Number(counter(section, "MIN_NUM").value);
  own(section, "[data-add]")[0].hidden = most !== "" && total >= Number(most);
  for (const button of own(section, "[data-remove]")) button.hidden = total <= least;
}

// In names, ids, and all that refers to them: "tracks-3-title" for "tracks-4-title".
// What is deeper, such as the rows of an inline within the row, keeps its own numbers.
const CONTENT = ["value", "placeholder", "title", "class", "style", "src", "alt"];

function renumber(root, prefix, number) {
  const literal = prefix.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const before = new RegExp(`(^|[\\s#]|id_|initial-)${literal}-(?:\\d+|empty|__prefix__)(?=-|\\s|$)`, "g");
  const after = `$1${prefix.replaceAll("$", "$$$$")}-${number}`;
  for (const element of [root, ...root.querySelectorAll("*")]) {
    for (const attribute of element.attributes || []) {
      if (CONTENT.includes(attribute.name)) continue;
      if (attribute.name === "href" && !attribute.value.startsWith("#")) continue;
      const value = attribute.value.replace(before, after);
      if (value !== attribute.value) attribute.value = value;
    }
    if (element.localName === "template") renumber(element.content, prefix, number);
  }
}
