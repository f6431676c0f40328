// What the admin's pages can do without, and are nicer with: every form and link works
// without scripts, too.
// ----- Windows that choose or add an object for a field

// The opener's window is told which field asked, by the name of the new window.
function ask(field, url) {
  const address = new URL(url, location.href);
  address.searchParams.set("_popup", "1");
  const opened = window.open(address, `vinyl-${field}`, "width=960,height=640,resizable,scrollbars");
  if (opened) opened.focus();
}

function answer(data) {
  if (window.opener && window.name.startsWith("vinyl-")) {
    const field = window.name.slice("vinyl-".length);
    window.opener.postMessage({ vinyl: field, ...data }, location.origin);
    window.close();
  }
}

window.addEventListener("message", (event) => {
  if (event.origin !== location.origin || !event.data || !event.data.vinyl) return;
  const { vinyl, value, label } = event.data;
  const field = document.getElementById(vinyl);
  if (!field) return;
  if (field.tagName === "SELECT") {
    let option = [...field.options].find((o) => o.value === value);
    if (!option) {
      option = new Option(label, value);
      field.add(option);
    }
    option.selected = true;
  } else if (field.dataset.several !== undefined && field.value) {
    field.value += `,${value}`;
  } else {
    field.value = value;
  }
  field.dispatchEvent(new Event("change", { bubbles: true }));
  field.focus();
});

const saved = document.body.dataset.popupResponse;
if (saved) {
  const { value, new_value, obj } = JSON.parse(saved);
  answer({ value: String(new_value ?? value), label: obj });
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
  } else if (link.dataset.back !== undefined && history.length > 1) {
    event.preventDefault();
    history.back();
  }
});

// ----- The boxes of a change list

const all = document.getElementById("action-toggle");
const boxes = [...document.querySelectorAll("input.action-select")];
const counters = document.querySelectorAll("[data-counter]");

function count() {
  const chosen = boxes.filter((box) => box.checked).length;
  all.checked = chosen > 0 && chosen === boxes.length;
  all.indeterminate = chosen > 0 && chosen < boxes.length;
  for (const counter of counters) {
    counter.textContent = counter.textContent.replace(/\d+/, chosen);
  }
}

if (all) {
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    count();
  });
  let last = null;
  for (const box of boxes) {
    box.addEventListener("click", (event) => {
      if (event.shiftKey && last) {
        const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
        for (const between of boxes.slice(from, to + 1)) between.checked = box.checked;
      }
      last = box;
      count();
    });
  }
  // A browser may bring the boxes back as they were.
  count();
}

// ----- What the visitor arranges: at once, and remembered by the server's cookie

const narrow = matchMedia("(max-width: 60rem)");

function shown(id) {
  const part = document.getElementById(id);
  return part !== null && getComputedStyle(part).display !== "none";
}

for (const form of document.querySelectorAll("form[data-prefer]")) {
  const name = form.dataset.prefer;
  const button = form.querySelector("button");
  const id = button.getAttribute("aria-controls");
  if (!id) continue;
  button.setAttribute("aria-expanded", shown(id));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = shown(id) ? "closed" : "open";
    form.elements[name].value = value;
    document.documentElement.dataset[name] = value;
    button.setAttribute("aria-expanded", shown(id));
    // In a narrow window it covers the page: open for this time only.
    if (narrow.matches) return;
    fetch(form.action, { method: "POST", body: new FormData(form), redirect: "manual", keepalive: true });
  });
}

// ----- The menu

for (const menu of document.querySelectorAll("details.menu")) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}
