/** Image files that are dropped, pasted or chosen: sent unchanged, displayed if the browser can. */

/** Calls `onImage` with each image file that the user drops, pastes or chooses. */
export function acceptImages({ button, input, overlay }, onImage) {
  const takeFirst = (files) => files?.length && onImage(files[0]);

  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    takeFirst(input.files);
    input.value = ""; // so that the same file can be chosen again
  });

  document.addEventListener("paste", (event) => takeFirst(event.clipboardData?.files));

  let depth = 0; // every element that is entered and left sends an event
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    depth++;
    overlay.hidden = false;
  });
  document.addEventListener("dragover", (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  document.addEventListener("dragleave", (event) => {
    if (carriesFiles(event) && --depth <= 0) overlay.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    overlay.hidden = true;
    takeFirst(event.dataTransfer.files);
  });
}

/** The image in a Blob as something a canvas can draw; null if this browser cannot decode it (TIFF). */
export async function preview(blob) {
  try {
    return await createImageBitmap(blob);
  } catch {
    return null;
  }
}

/** The content of a data URL as a Blob. The page's content security policy forbids fetching it. */
export function blobOf(url) {
  const [head, content] = url.split(",");
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: head.slice("data:".length).split(";")[0] });
}
