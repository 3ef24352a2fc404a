"use strict";
// Quoting a text around the words that were searched for, with these marked.

const QUOTE_LENGTH = 230;

/** Give the parts of a text, the words among *terms* in `<mark>`. */
function marked(text, terms) {
  const parts = [];
  let after = 0;
  for (const { start, end } of findTerms(text, terms)) {
    parts.push(text.slice(after, start), element("mark", {}, text.slice(start, end)));
    after = end;
  }
  return [...parts, text.slice(after)];
}

/** Give the stretch of a text in which most of *terms* stand close together. */
function quote(text, terms) {
  const found = findTerms(text, terms);
  let [best, most] = [0, -1];
  found.forEach(({ start }, place) => {
    const near = found.slice(place).filter((other) => other.start < start + QUOTE_LENGTH);
    const different = new Set(near.map((other) => other.term)).size;
    if (different > most) [best, most] = [start, different];
  });
  if (best + QUOTE_LENGTH > text.length) best = Math.max(0, text.length - QUOTE_LENGTH);
  const begin = best < 60 ? 0 : text.indexOf(" ", best - 50) + 1;
  const end = text.length <= begin + QUOTE_LENGTH ? text.length : text.lastIndexOf(" ", begin + QUOTE_LENGTH);
  const stretch = text.slice(begin, end > begin ? end : begin + QUOTE_LENGTH);
  return `${begin ? "… " : ""}${stretch}${begin + stretch.length < text.length ? " …" : ""}`;
}

function findTerms(text, terms) {
  if (!terms.size) return [];
  const found = [];
  for (const match of text.matchAll(/[\u3040-\u30ff\u3400-\u9fff]|(?:(?![\u3040-\u30ff\u3400-\u9fff])[\p{L}\p{N}\p{M}])+/gu)) {
    const term = fold(match[0]);
    if (terms.has(term)) found.push({ term, start: match.index, end: match.index + match[0].length });
  }
  return found;
}
