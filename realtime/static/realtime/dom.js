/** A few words for the page's tree. They write only what changes, so that nothing flickers and no selection is lost. */

/**
 * Make an element: `make("p", { class: "why", title: "…" }, "text", child)`.
 * @param {string} tag
 * @param {Object<string, string|boolean|null|undefined>} [attributes]
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) attribute(element, name, value);
  element.append(...children);
  return element;
}

/** Set, or with null, undefined or false remove, an attribute. */
export function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

/** @param {Element|null} element @param {string} words */
export function text(element, words) {
  if (element && element.textContent !== words) element.textContent = words;
}

/** The part of a block that is marked `data-part="name"`. @returns {HTMLElement} */
export function part(block, name) {
  return block.querySelector(`[data-part="${name}"]`);
}

/** @param {Element} element @param {string} name @param {boolean} on */
export function flag(element, name, on) {
  if (element.classList.contains(name) !== on) element.classList.toggle(name, on);
}

/** The JSON that the server put into the page. @param {string} id */
export function data(id) {
  const element = document.getElementById(id);
  return element ? JSON.parse(element.textContent) : null;
}
