/** A group of buttons as one tab stop: arrow keys, Home and End move within it. */

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** Makes the buttons in `group` one tab stop, also those that come later; `onMove` is called with the focused one. */
export function rove(group, onMove = () => {}) {
  const buttons = () => [...group.querySelectorAll("button")];

  function set(chosen) {
    for (const button of buttons()) button.tabIndex = button === chosen ? 0 : -1;
  }

  group.addEventListener("focusin", (event) => set(event.target));
  group.addEventListener("keydown", (event) => {
    const all = buttons();
    const at = all.indexOf(event.target);
    const to = { Home: 0, End: all.length - 1 }[event.key] ?? at + (STEPS[event.key] ?? NaN);
    if (at < 0 || Number.isNaN(to)) return;
    event.preventDefault();
    const next = all[(to + all.length) % all.length];
    next.focus();
    onMove(next);
  });
  return {
    /** Makes a button the tab stop, by default the first. */
    reset: (button = buttons()[0]) => set(button),
  };
}
