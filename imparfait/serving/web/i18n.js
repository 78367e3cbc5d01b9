/** The page's language: its strings, and how they are written into the page. */

import corruptionsFr from "./corruptions_fr.js";
import en from "./strings_en.js";
import fr from "./strings_fr.js";

const STORED = "imparfait.language";
const LANGUAGES = { en: { strings: en, corruptions: {} }, fr: { strings: fr, corruptions: corruptionsFr } };

function stored() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null; // storage is switched off
  }
}

function preferred() {
  const wished = [stored(), ...navigator.languages].map((each) => each?.slice(0, 2).toLowerCase());
  return wished.find((each) => Object.hasOwn(LANGUAGES, each)) ?? "en";
}

/** "en" or "fr". */
export const language = preferred();
document.documentElement.lang = language;
const { strings, corruptions } = LANGUAGES[language];

/** The string of a key; `{name}` in it is replaced by a value. */
export const t = (key, values = {}) => strings[key].replaceAll(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

/** Whether there is a string of this key. */
export const has = (key) => Object.hasOwn(strings, key);

/** As `t`, for a count: the key ends with ".one" or ".many". */
export const counted = (key, count) => t(`${key}.${count === 1 ? "one" : "many"}`, { count });

/** Remembers a language and shows the page in it; the drawing is kept. */
export function chooseLanguage(code) {
  try {
    localStorage.setItem(STORED, code);
  } catch {
    return; // it could not be remembered, so the page would come back in the old one
  }
  location.reload();
}

/** A corruption's or a family's name for display. */
export function displayName(name) {
  return corruptions[name]?.[0] ?? name.replace(/^photo\./, "").replaceAll("_", " ");
}

/** What a corruption does, as a sentence. */
export const corruptionSummary = ({ name, summary }) => corruptions[name]?.[1] ?? summary;

/** Text as nodes: `code` in backticks, and *emphasis* in asterisks. */
export function richText(text) {
  return text
    .split(/(`[^`]+`|\*[^*]+\*)/)
    .filter(Boolean)
    .map((part) => {
      if (!/^([`*]).+\1$/.test(part)) return part;
      const created = document.createElement(part[0] === "`" ? "code" : "em");
      created.textContent = part.slice(1, -1);
      return created;
    });
}

/** Writes all strings into elements with `data-i18n`, and names into those with `data-i18n-label`. */
export function translate(values = {}) {
  for (const each of document.querySelectorAll("[data-i18n]")) {
    each.replaceChildren(...richText(t(each.dataset.i18n, values)));
  }
  for (const each of document.querySelectorAll("[data-i18n-label]")) {
    each.setAttribute("aria-label", t(each.dataset.i18nLabel, values));
  }
  document.title = t("title");
}
