/** Pictures that are dropped, pasted or chosen: sent as they are, shown as far as a browser can. */

/** Calls `take` with each picture file that comes in by one of the three ways. */
export function takePictures({ button, input, overlay }, take) {
  const first = (files) => files?.length && take(files[0]);

  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    first(input.files);
    input.value = ""; // so that the same file can be chosen again
  });

  document.addEventListener("paste", (event) => first(event.clipboardData?.files));

  let inside = 0; // each element that is entered and left says so
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    inside++;
    overlay.hidden = false;
  });
  document.addEventListener("dragover", (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  document.addEventListener("dragleave", (event) => {
    if (carriesFiles(event) && --inside <= 0) overlay.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    inside = 0;
    overlay.hidden = true;
    first(event.dataTransfer.files);
  });
}

/** The picture in a Blob as something a canvas draws; null where this browser cannot (TIFF). */
export async function preview(blob) {
  try {
    return await createImageBitmap(blob);
  } catch {
    return null;
  }
}

/** A data URL's content. (Fetching it is what the page's own policy forbids.) */
export function blobOf(url) {
  const [head, content] = url.split(",");
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: head.slice("data:".length).split(";")[0] });
}
