// A form that is left with changes asks first, and one that is being sent is not sent
// again. For each <form data-guarded>.

for (const form of document.querySelectorAll("form[data-guarded]")) {
  const saved = contents(form);
  let sent = false;

  // A page that shows errors has changes that nobody has saved.
  const refused = form.querySelector(".note.error, .errorlist") !== null;
  const changed = () => refused || contents(form) !== saved;

  addEventListener("beforeunload", (event) => {
    if (!sent && changed()) event.preventDefault();
  });

  form.addEventListener("submit", (event) => {
    // An action may answer with a file, after which the page is still here.
    if (event.defaultPrevented || event.submitter?.name === "index") return;
    if (sent) {
      event.preventDefault();
      return;
    }
    sent = true;
    form.setAttribute("aria-busy", "true");
  });

  // The browser has brought the page back, or somebody has stopped the sending.
  addEventListener("pageshow", (event) => {
    if (event.persisted) release();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") release();
  });

  function release() {
    sent = false;
    form.removeAttribute("aria-busy");
  }
}

// What would be sent. A file is known by its name and size.
function contents(form) {
  const entries = [...new FormData(form)].map(([name, value]) =>
    value instanceof File ? [name, value.name, value.size] : [name, value],
  );
  return JSON.stringify(entries);
}
