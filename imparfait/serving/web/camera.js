/** An image from the camera: a preview, then one frame as a JPEG, the same as from a file. */

const JPEG_QUALITY = 0.95;

/**
 * Shows `button` where the browser has a camera interface, which it has only on localhost and over HTTPS. A click opens
 * `dialog` with the camera's preview; `onImage` gets the frame that is taken, as a Blob, and `onError` a sentence.
 */
export function acceptCamera({ button, dialog }, onImage, onError) {
  if (!navigator.mediaDevices?.getUserMedia || !dialog.showModal) return;
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
  const reasons = {
    NotAllowedError: "the browser may not use the camera; allow it in the address bar",
    NotFoundError: "no camera found; choose an image instead",
    NotReadableError: "another program uses the camera; close it and try again",
  };
  return reasons[error.name] ?? `the camera cannot be used: ${error.message}`;
}
