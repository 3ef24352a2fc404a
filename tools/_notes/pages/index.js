"use strict";
// Looking words up in the index: by their beginnings, all of them together, best notes first.

class Index {
  constructor({ notes, terms }) {
    this.notes = notes;
    this.postings = terms;
    this.terms = Object.keys(terms).sort((a, b) => (a < b ? -1 : 1));
    this.tags = notes.map((note) => note.tags.map(fold));
  }

  /** Give the notes that hold every word and every #tag of a query, the best first. */
  search(query) {
    const parts = query.trim().split(/\s+/).filter(Boolean);
    const words = parts.filter((part) => !part.startsWith("#")).flatMap(wordsOf);
    const tags = parts.filter((part) => part.length > 1 && part.startsWith("#")).map((tag) => fold(tag.slice(1)));
    const used = words.map((word) => this.#termsFor(word));
    const scores = used.map((terms) => this.#score(terms));
    const total = new Map();
    for (let note = 0; note < this.notes.length; note++) {
      const each = scores.map((score) => score.get(note) ?? 0);
      const tagged = tags.every((tag) => this.tags[note].some((own) => own.startsWith(tag)));
      if (tagged && each.every(Boolean)) total.set(note, each.reduce((sum, score) => sum + score, 0));
    }
    const byTitle = (a, b) => this.notes[a].title.localeCompare(this.notes[b].title);
    const notes = [...total.keys()].sort((a, b) => total.get(b) - total.get(a) || byTitle(a, b));
    return { notes, terms: new Set(used.flatMap((terms) => [...terms.keys()])) };
  }

  /** Give the terms that a word may mean and how much each counts: itself, what it begins, and,
   *  when there is neither, what is one slip of the keyboard away. */
  #termsFor(word) {
    const found = new Map();
    for (let place = this.#firstFrom(word); this.terms[place]?.startsWith(word); place++) {
      const term = this.terms[place];
      found.set(term, term === word ? 1 : 0.4 + (0.4 * word.length) / term.length);
    }
    if (!found.size && word.length >= 4) {
      for (const term of this.terms) if (isOneSlipAway(word, term)) found.set(term, 0.5);
    }
    return found;
  }

  #firstFrom(word) {
    let [low, high] = [0, this.terms.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.terms[middle] < word) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #score(terms) {
    const best = new Map();
    for (const [term, share] of terms) {
      const postings = this.postings[term];
      for (let place = 0; place < postings.length; place += 2) {
        const score = postings[place + 1] * share;
        if (score > (best.get(postings[place]) ?? 0)) best.set(postings[place], score);
      }
    }
    return best;
  }
}

/** Give the words of a text, as `index.find_words` does. */
function wordsOf(text) {
  return fold(text).match(/[\u3040-\u30ff\u3400-\u9fff]|(?:(?![\u3040-\u30ff\u3400-\u9fff])[\p{L}\p{N}])+/gu) ?? [];
}

/** True when one letter more, less, different or swapped makes one word the other. */
function isOneSlipAway(word, other) {
  if (Math.abs(word.length - other.length) > 1) return false;
  let start = 0;
  while (start < word.length && word[start] === other[start]) start++;
  const rest = (text, skipped) => text.slice(start + skipped);
  return rest(word, 1) === rest(other, 1)
    || rest(word, 1) === rest(other, 0)
    || rest(word, 0) === rest(other, 1)
    || (word[start] === other[start + 1] && word[start + 1] === other[start] && rest(word, 2) === rest(other, 2));
}
