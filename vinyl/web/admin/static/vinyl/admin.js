// What the admin's pages can do without, and are nicer with: every form and link works
// without scripts, too.
document.addEventListener("click", (event) => {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest("a[data-back]");
  if (link && history.length > 1) {
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
    // In words for none, as translated; the words for some are not on the page.
    counter.dataset.none ??= counter.textContent;
    counter.textContent = chosen ? `${chosen} / ${boxes.length}` : counter.dataset.none;
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

// ----- What the visitor arranges: at once, and remembered by a cookie that the server reads

const narrow = matchMedia("(max-width: 60rem)");

function shown(id) {
  const part = document.getElementById(id);
  return part !== null && getComputedStyle(part).display !== "none";
}

function remember(name, value, path) {
  const [, before = ""] = document.cookie.match(/(?:^|; )vinyl_admin=([^;]*)/) ?? [];
  const pairs = before.split("&").filter((pair) => pair && !pair.startsWith(`${name}:`));
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `vinyl_admin=${[...pairs, `${name}:${value}`].join("&")}; path=${path}; max-age=31536000; samesite=lax${secure}`;
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
    if (!narrow.matches) remember(name, value, new URL("..", form.action).pathname);
  });
}

// ----- Keys: the search over all models by / and Ctrl+K

const find = document.getElementById("find");

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  const slash = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey;
  const k = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
  if (find && (slash || k)) {
    event.preventDefault();
    find.focus();
    find.select();
  }
});

// ----- A form that was refused: the reader starts at what is wrong

const refused = document.querySelector("form > .note.error");
if (refused) {
  refused.tabIndex = -1;
  // After the browser has gone to the fragment of the address.
  addEventListener("load", () => setTimeout(() => refused.focus()));
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
