/** An image from the camera: a preview, then one frame as a JPEG, the same as from a file. */

import { t } from "./i18n.js";

const JPEG_QUALITY = 0.95;

/**
 * Shows `button` where there is a way to a camera. Browsers have a camera interface only on localhost and over HTTPS: a
 * click then opens `dialog` with the preview. Elsewhere a phone's own camera opens, by `input`. `onImage` gets the photo
 * as a Blob, and `onError` a sentence.
 */
export function acceptCamera({ button, dialog, input }, onImage, onError) {
  if (!navigator.mediaDevices?.getUserMedia || !dialog.showModal) {
    button.hidden = !matchMedia("(pointer: coarse)").matches;
    button.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      if (input.files.length) onImage(input.files[0]);
      input.value = "";
    });
    return;
  }
  const video = dialog.querySelector("video");
  const take = dialog.querySelector(".take");
  button.hidden = false;

  button.addEventListener("click", async () => {
    onError("");
    try {
      // On a phone the camera at the back: the front one shows the user.
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
      video.srcObject = stream;
      take.disabled = true;
      dialog.showModal();
      await video.play();
      take.disabled = false;
      take.focus();
    } catch (error) {
      stop();
      if (dialog.open) dialog.close();
      onError(sentence(error));
    }
  });
  take.addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    dialog.close();
    canvas.toBlob((blob) => blob && onImage(blob), "image/jpeg", JPEG_QUALITY);
  });
  dialog.querySelector(".cancel").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", stop); // Escape too: the camera's light goes out with the preview

  function stop() {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  }
}

function sentence(error) {
  const keys = { NotAllowedError: "refused", NotFoundError: "none", NotReadableError: "taken" };
  return t(`camera.${keys[error.name] ?? "other"}`);
}
