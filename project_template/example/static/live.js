// Shows each review as it is written: see live_reviews in records/views.py.

const list = document.getElementById("live");
const state = document.getElementById("state");
const events = new EventSource(list.dataset.events);

events.addEventListener("listening", () => {
  state.textContent = "New reviews appear here as they are written.";
});
events.onerror = () => { state.textContent = "The line is down. Trying again …"; };
events.addEventListener("review", (event) => {
  const review = JSON.parse(event.data);
  const article = document.createElement("article");
  article.className = "review";
  const heading = document.createElement("h2");
  heading.textContent = `${"★".repeat(review.rating)} ${review.author} on `;
  const link = document.createElement("a");
  link.href = review.address;
  link.textContent = review.album;
  heading.append(link);
  const text = document.createElement("p");
  text.textContent = review.text;
  article.append(heading, text);
  list.prepend(article);
});
