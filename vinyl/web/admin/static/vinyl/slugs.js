// Fields of prepopulated_fields: filled while the fields are typed that they are made
// from, until somebody types something else into them. The page has a
// <span data-slug="id" data-from="ids"> for each.

const written = new Map();

document.addEventListener("input", (event) => {
  if (!event.target.id) return;
  for (const rule of document.querySelectorAll("[data-slug]")) {
    const sources = rule.dataset.from.split(" ");
    if (sources.includes(event.target.id)) fill(rule, sources);
  }
});

function fill(rule, sources) {
  const field = document.getElementById(rule.dataset.slug);
  if (!field || (field.value !== "" && field.value !== written.get(field))) return;
  const values = sources.map((id) => document.getElementById(id)?.value.trim());
  const text = values.filter(Boolean).join(" ");
  field.value = slug(text, Number(rule.dataset.length), "unicode" in rule.dataset);
  written.set(field, field.value);
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

// ----- From a text to a slug, as Django's slugify() does, in other alphabets too

const LETTERS = table(`
  ß ss æ ae œ oe ø o å a ð d đ d þ th ł l ħ h ı i ĸ k ŋ ng ſ s
  α a β v γ g δ d ε e ζ z η i θ th ι i κ k λ l μ m ν n ξ x ο o π p ρ r σ s ς s τ t υ y
  φ f χ ch ψ ps ω o
  а a б b в v г g д d е e ё yo ж zh з z и i й j к k л l м m н n о o п p р r с s т t у u
  ф f х h ц c ч ch ш sh щ sh ъ - ы y ь - э e ю yu я ya
  є ye і i ї yi ґ g ј j љ lj њ nj ђ dj џ dz ћ c ў u`);

// A letter and what it becomes, in turn; "-" for nothing.
function table(text) {
  const words = text.trim().split(/\s+/);
  const pairs = [];
  for (let i = 0; i < words.length; i += 2) {
    pairs.push([words[i], words[i + 1] === "-" ? "" : words[i + 1]]);
  }
  return new Map(pairs);
}

function slug(text, length, unicode) {
  let result = text.toLowerCase();
  if (unicode) {
    result = result.normalize("NFKC").replace(/[^\p{L}\p{M}\p{N}_\s-]/gu, "");
  } else {
    result = [...result.normalize("NFC")].map(latin).join("").replace(/[^\w\s-]/g, "");
  }
  result = result.replace(/[-\s]+/g, "-").replace(/^[-_]+/, "");
  return [...result].slice(0, length).join("").replace(/[-_]+$/, "");
}

function latin(letter) {
  if (LETTERS.has(letter)) return LETTERS.get(letter);
  const parts = letter.normalize("NFKD").replace(/\p{M}/gu, "");
  return [...parts].map((part) => LETTERS.get(part) ?? part).join("");
}
