/** Pictures that a user attaches, as data for a request. */

export const IMAGE_TYPES = ["image/png", "image/jpeg"];

const LONGEST_SIDE = 1536; // pixels; models look at smaller ones
const KEEP_BYTES = 1_000_000;
const JPEG_QUALITY = 0.9;

/**
 * A picture as `{type, data}`, with base64 in `data`; large ones and other formats are converted.
 * @throws {Error} with a message for the user.
 */
export async function readImage(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name || "The file"} is not a picture that this browser can read.`);
  }
  const scale = LONGEST_SIDE / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1 && file.size <= KEEP_BYTES && IMAGE_TYPES.includes(file.type)) {
    bitmap.close();
    return { type: file.type, data: await base64(file) };
  }
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * Math.min(scale, 1)));
  canvas.height = Math.max(1, Math.round(bitmap.height * Math.min(scale, 1)));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // JPEG has no transparency
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
  return { type: "image/jpeg", data: await base64(blob) };
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The file cannot be read."));
    reader.readAsDataURL(blob);
  });
}
