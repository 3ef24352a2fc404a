"use strict";
// What the pages share: their data, making elements, comparing text.

const data = JSON.parse(document.getElementById("data").textContent);

/** Make an element. Children are elements or plain text; nothing is ever read as HTML. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** Write a text as it is searched for: small letters, no accents. `index.fold` does the same. */
function fold(text) {
  return text
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[\p{M}\u02b0-\u02ff]/gu, "")
    .replaceAll("ß", "ss")
    .replaceAll("ς", "σ");
}

/** Say `1 note`, `2 notes`, `1,234 notes`. */
function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
