/** The tools of the sheet: undo, clear, pens and eraser, and their keys. */

const find = (id) => document.getElementById(id);

/** Connects the tools with a drawing. */
export function connectTools(drawing) {
  find("undo").addEventListener("click", () => drawing.undo());
  find("clear").addEventListener("click", () => drawing.clear());
  find("pens").addEventListener("change", (event) => drawing.setTool(event.target.value));
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("select, input:not([type=range], [type=radio])") || document.querySelector("dialog[open]")) return;
    const undo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
    if (undo) drawing.undo();
    else if (event.key === "Delete" || event.key === "Escape") drawing.clear();
    else return;
    event.preventDefault();
  });
}

/** Enables what can be undone, cleared or shared. */
export function drawTools(drawing) {
  find("undo").disabled = !drawing.canUndo();
  find("clear").disabled = find("share").disabled = drawing.isEmpty();
}
