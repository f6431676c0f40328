// Tabs of a form: the links to its sections show one of them at a time. What is in the
// others stays in the form, and a tab that has errors is open when the page arrives.

const list = document.querySelector("nav.tabs");
const tabs = [...list.querySelectorAll("a")];
const panel = (tab) => document.getElementById(tab.hash.slice(1));

function show(chosen) {
  for (const tab of tabs) {
    const current = tab === chosen;
    tab.setAttribute("aria-selected", current);
    tab.tabIndex = current ? 0 : -1;
    panel(tab).classList.toggle("current", current);
  }
}

list.setAttribute("role", "tablist");
for (const tab of tabs) {
  tab.id = `${panel(tab).id}-tab`;
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", panel(tab).id);
  panel(tab).setAttribute("role", "tabpanel");
  panel(tab).setAttribute("aria-labelledby", tab.id);
}

list.addEventListener("click", (event) => {
  const tab = event.target.closest("a");
  if (!tab) return;
  event.preventDefault();
  show(tab);
  history.replaceState(history.state, "", tab.hash);
});

list.addEventListener("keydown", (event) => {
  const forward = document.dir === "rtl" ? "ArrowLeft" : "ArrowRight";
  const back = document.dir === "rtl" ? "ArrowRight" : "ArrowLeft";
  const at = tabs.indexOf(document.activeElement);
  const to = { [forward]: at + 1, [back]: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const tab = tabs.at(to % tabs.length);
  show(tab);
  tab.focus();
});

// A tab with errors comes before the one that the address names.
const wrong = tabs.find((tab) => tab.querySelector(".count"));
const named = tabs.find((tab) => tab.hash === location.hash);
const marked = tabs.find((tab) => tab.hasAttribute("aria-current"));
for (const tab of tabs) tab.removeAttribute("aria-current");
show(wrong ?? named ?? marked);
