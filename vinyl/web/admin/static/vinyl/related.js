// Fields for related objects: windows that choose, add, change or delete an object, and
// completion. Without this script the links open in a new tab, and a field that would
// complete has a button that leads to a search page.

// ----- Windows

// The opener's window is told which field asked, by the name of the new window. The depth
// keeps a window that opens another from being the other.
function ask(field, url) {
  const address = new URL(url, location.href);
  address.searchParams.set("_popup", "1");
  const depth = Number(/^vinyl-(\d+)-/.exec(window.name)?.[1] ?? 0) + 1;
  const opened = window.open(address, `vinyl-${depth}-${field}`, "width=960,height=640,resizable,scrollbars");
  if (opened) opened.focus();
}

function answer(data) {
  const name = /^vinyl-\d+-(.+)$/s.exec(window.name);
  if (window.opener && name) {
    window.opener.postMessage({ vinyl: name[1], ...data }, location.origin);
    window.close();
  }
}

const changed = (field) => field.dispatchEvent(new Event("change", { bubbles: true }));

// Choose a value of a select, or put a key into a text field.
function choose(field, value, label) {
  if (field.tagName === "SELECT") {
    let option = [...field.options].find((o) => o.value === value);
    if (!option) {
      option = new Option(label, value);
      field.add(option);
    }
    option.selected = true;
  } else if (field.dataset.several !== undefined && field.value) {
    if (!field.value.split(",").includes(value)) field.value += `,${value}`;
  } else {
    field.value = value;
  }
  changed(field);
}

// All selects for objects of the model of *field*, which stay true to the database.
function alike(field) {
  const own = field.closest(".related");
  if (!own) return [];
  const { model, toField } = own.dataset;
  const selector = `.related[data-model="${CSS.escape(model)}"][data-to-field="${CSS.escape(toField)}"] select`;
  return [...document.querySelectorAll(selector)];
}

window.addEventListener("message", (event) => {
  if (event.origin !== location.origin || !event.data || !event.data.vinyl) return;
  const { vinyl, action, value, newValue, label } = event.data;
  const field = document.getElementById(vinyl);
  if (!field) return;
  if (action === "delete" || action === "change") {
    for (const select of alike(field)) {
      for (const option of [...select.options].filter((o) => o.value === value)) {
        if (action === "delete") option.remove();
        else [option.text, option.value] = [label, newValue];
        changed(select);
      }
    }
    if (field.tagName !== "SELECT") {
      field.value = action === "delete" ? "" : newValue;
      changed(field);
    }
  } else {
    for (const select of alike(field)) {
      const known = [...select.options].some((o) => o.value === value);
      if (select !== field && !known && !completes(select)) select.add(new Option(label, value));
    }
    choose(field, value, label);
  }
  (document.querySelector(`[data-completes="${CSS.escape(vinyl)}"]`) ?? field).focus();
});

const saved = document.body.dataset.popupResponse;
if (saved) {
  const { action, value, new_value, obj } = JSON.parse(saved);
  answer({ action, value: String(value), newValue: String(new_value ?? value), label: obj });
}

document.addEventListener("click", (event) => {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest("a");
  if (!link) return;
  const field = link.dataset.lookup || link.dataset.popup;
  if (field) {
    event.preventDefault();
    ask(field, link.href);
  } else if (link.dataset.popupOpener !== undefined && window.opener) {
    event.preventDefault();
    answer({ value: link.dataset.popupOpener, label: link.textContent });
  }
});

// The key of an object as the admin's URLs have it.
const quoted = (key) => key.replace(/[:/_#?;@&=+$,"[\]<>%\n\\]/g, (c) => `_${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);

// Links to change, view or delete lead to the object that is chosen now.
function follow(field) {
  for (const link of field.closest(".related")?.querySelectorAll("[data-href-template]") ?? []) {
    link.hidden = !field.value;
    if (field.value) link.href = link.dataset.hrefTemplate.replace("__fk__", encodeURIComponent(quoted(field.value)));
    else link.removeAttribute("href");
  }
}
document.addEventListener("change", (event) => {
  if (event.target.closest(".related") && event.target.name) follow(event.target);
});

// ----- Completion: a combobox in the place of a select, which keeps the values

const completes = (select) => select.classList.contains("admin-autocomplete");
let made = 0;

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

class Combobox {
  constructor(select) {
    this.select = select;
    this.texts = { clear: "Clear", failed: "", found: "", loading: "", none: "", remove: "Remove" };
    Object.assign(this.texts, JSON.parse(select.dataset.texts ?? "{}"));
    this.canClear = select.multiple || select.dataset.allowClear === "true";
    this.options = [];
    this.active = -1;
    this.more = false;
    this.page = 0;
    const id = `complete-${++made}`;
    this.input = element("input", {
      type: "text", id, role: "combobox", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
      "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list`, "data-completes": select.id,
    });
    for (const name of ["aria-label", "aria-labelledby", "aria-describedby", "aria-invalid"]) {
      if (select.hasAttribute(name)) this.input.setAttribute(name, select.getAttribute(name));
    }
    this.input.disabled = select.disabled;
    const label = select.id && document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
    this.list = element("ul", { role: "listbox", id: `${id}-list`, hidden: "" });
    if (label) {
      label.htmlFor = id;
      label.id ||= `${id}-label`;
      this.list.setAttribute("aria-labelledby", label.id);
    } else {
      const head = select.closest("td")?.dataset.label ?? select.name;
      if (!this.input.hasAttribute("aria-label")) this.input.setAttribute("aria-label", head);
      this.list.setAttribute("aria-label", this.input.getAttribute("aria-label"));
    }
    this.status = element("span", { class: "sr", role: "status" });
    this.clear = element("button", { type: "button", class: "plain clear", "aria-label": this.texts.clear, tabindex: "-1" }, "×");
    this.box = element("span", { class: select.multiple ? "combobox several" : "combobox" });
    if (select.multiple) {
      this.chips = element("ul", { class: "chips" });
      this.box.append(this.chips);
    }
    this.box.append(this.input, this.clear, this.list, this.status);
    select.hidden = true;
    select.after(this.box);
    const button = select.parentElement.querySelector(":scope > button[name=_lookup]");
    if (button) button.hidden = true;
    this.listen();
    this.show();
  }

  listen() {
    const { input, list } = this;
    input.addEventListener("input", () => {
      clearTimeout(this.timer);
      // What is shown was found for another text.
      this.options = [];
      this.highlight(-1);
      this.timer = setTimeout(() => this.search(), 200);
    });
    input.addEventListener("click", () => this.isOpen || this.search());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => this.leave());
    // Otherwise the field would lose the focus before the click.
    list.addEventListener("pointerdown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.pick([...list.children].indexOf(option));
    });
    list.addEventListener("scroll", () => {
      if (list.scrollTop + list.clientHeight > list.scrollHeight - 40) this.load();
    });
    this.clear.addEventListener("click", () => {
      this.set("");
      input.focus();
    });
    this.select.addEventListener("change", () => this.show());
    this.select.form?.addEventListener("reset", () => setTimeout(() => this.show()));
  }

  get isOpen() { return !this.list.hidden; }
  get chosen() { return [...this.select.selectedOptions].filter((o) => o.value !== ""); }

  // What is chosen, as the text of the field or as chips.
  show() {
    if (this.chips) {
      this.chips.replaceChildren(...this.chosen.map((option) => {
        const button = element("button", { type: "button", class: "plain", "aria-label": `${this.texts.remove} ${option.text}` }, "×");
        button.addEventListener("click", () => {
          this.remove(option);
          this.input.focus();
        });
        return element("li", {}, element("span", {}, option.text), button);
      }));
      this.clear.hidden = true;
    } else {
      this.input.value = this.chosen[0]?.text ?? "";
      this.clear.hidden = !this.canClear || !this.input.value || this.select.disabled;
    }
  }

  remove(option) {
    option.remove();
    changed(this.select);
  }

  set(value, text = "") {
    if (this.select.multiple) {
      this.input.value = "";
      choose(this.select, value, text);
    } else if (value === "") {
      for (const option of this.chosen) option.selected = false;
      if ([...this.select.options].some((o) => o.value === "")) this.select.value = "";
      changed(this.select);
    } else {
      choose(this.select, value, text);
    }
  }

  key(event) {
    const { key } = event;
    if (key === "ArrowDown" || key === "ArrowUp") {
      event.preventDefault();
      if (!this.isOpen) this.search();
      else if (!event.altKey) this.move(key === "ArrowDown" ? 1 : -1);
      else if (key === "ArrowUp") this.close();
    } else if (key === "Enter" && this.isOpen) {
      event.preventDefault();
      if (this.active >= 0) this.pick(this.active);
    } else if (key === "Escape" && this.isOpen) {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    } else if (key === "Backspace" && this.chips && !this.input.value && this.chosen.length) {
      this.remove(this.chosen.at(-1));
    }
  }

  move(step) {
    const last = this.options.length - 1;
    if (last < 0) return;
    if (step > 0 && this.active === last && this.more) return this.load();
    let next = this.active + step;
    if (next > last) next = 0;
    if (next < 0) next = last;
    this.highlight(next);
    if (next === last) this.load();
  }

  highlight(index) {
    this.list.children[this.active]?.setAttribute("aria-selected", "false");
    this.active = index;
    const option = this.list.children[index];
    if (option) {
      option.setAttribute("aria-selected", "true");
      option.scrollIntoView({ block: "nearest" });
      this.input.setAttribute("aria-activedescendant", option.id);
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  search() {
    const shown = this.chips ? "" : this.chosen[0]?.text ?? "";
    // The name of what is chosen is not what one searches for.
    this.term = this.input.value === shown ? "" : this.input.value;
    clearTimeout(this.timer);
    this.page = 0;
    this.more = true;
    this.options = [];
    this.loading = null;
    this.load();
  }

  async load() {
    if (!this.more || this.loading === this.term) return;
    const { term, page } = this;
    this.loading = term;
    const { "ajax-Url": url, appLabel, modelName, fieldName } = this.select.dataset;
    const query = new URLSearchParams({
      term, page: page + 1, app_label: appLabel, model_name: modelName, field_name: fieldName,
    });
    let found = null;
    try {
      const response = await fetch(`${url}?${query}`, { headers: { accept: "application/json" } });
      if (response.ok && !response.redirected) found = await response.json();
    } catch {
      // Told below.
    }
    // Something else has been typed meanwhile.
    if (term !== this.term || page !== this.page) return;
    this.loading = null;
    if (document.activeElement !== this.input) return;
    if (!found) {
      this.more = false;
      return this.tell(this.texts.failed);
    }
    const before = this.options.length;
    this.page += 1;
    this.more = found.pagination.more;
    this.options.push(...found.results);
    if (!before) this.list.replaceChildren();
    for (const [i, result] of found.results.entries()) {
      this.list.append(element("li", { role: "option", id: `${this.list.id}-${before + i}`, "aria-selected": "false" }, result.text || "—"));
    }
    if (!this.options.length) return this.tell(this.texts.none);
    this.open();
    if (!before) this.highlight(-1);
    else if (this.active === before - 1) this.highlight(before);
    this.status.textContent = this.texts.found.replace("%(counter)s", this.options.length + (this.more ? "+" : ""));
  }

  // A line in the place of the results.
  tell(text) {
    this.list.replaceChildren(element("li", { class: "quiet", role: "option", "aria-disabled": "true" }, text));
    this.options = [];
    this.active = -1;
    this.open();
    this.status.textContent = text;
  }

  open() {
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
  }

  close() {
    this.list.hidden = true;
    this.highlight(-1);
    this.list.replaceChildren();
    this.options = [];
    this.more = false;
    this.input.setAttribute("aria-expanded", "false");
    this.status.textContent = "";
  }

  pick(index) {
    const option = this.options[index];
    if (!option) return;
    this.close();
    this.term = null;
    this.set(option.id, option.text);
  }

  leave() {
    clearTimeout(this.timer);
    this.term = null;
    this.loading = null;
    this.close();
    if (!this.chips && !this.input.value && this.canClear && this.chosen.length) this.set("");
    else if (this.chips) this.input.value = "";
    else this.show();
  }
}

function enhance(root) {
  for (const select of root.querySelectorAll("select.admin-autocomplete:not([hidden])")) {
    if (!select.name.includes("__prefix__")) new Combobox(select);
  }
}

// A filter with too many choices to list: what is chosen takes the place of the words to
// search for, and of what was chosen before.
for (const template of document.querySelectorAll("template[data-completes-filter]")) {
  const form = template.closest("form");
  const select = template.content.firstElementChild.cloneNode(true);
  form.querySelector("input[type=search]").remove();
  form.querySelector("button").hidden = true;
  template.before(select);
  select.addEventListener("change", () => {
    if (!select.value) return;
    for (const name of template.dataset.completesFilter.split(" ")) {
      for (const before of form.querySelectorAll(`input[type=hidden][name="${CSS.escape(name)}"]`)) before.remove();
    }
    form.submit();
  });
}

enhance(document);
// A row that a script has added to an inline.
document.addEventListener("formset:added", (event) => enhance(event.target));
