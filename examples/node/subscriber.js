// Prints who is where: `npm install`, then `node subscriber.js tcp://127.0.0.1:5555`.
// docs/wire.md describes every field. It ends when every stream that it has heard of has ended.

import { decode } from "@msgpack/msgpack";
import { Subscriber } from "zeromq";

/** The pixels of a mask's window, row by row: Uint8Array of height x width, 0 or 1. */
export function decodeMask({ size: [height, width], counts }) {
  const pixels = new Uint8Array(height * width);
  const runs = [];
  let at = 0; // counts go down the columns, from left to right
  for (let i = 0; i < counts.length; ) {
    let value = 0;
    let shift = 0;
    let digit;
    do {
      digit = counts.charCodeAt(i++) - 48;
      value |= (digit & 31) << shift;
      shift += 5;
    } while (digit & 32 && i < counts.length);
    if (digit & 16) value -= 2 ** shift;
    const run = value + (runs.length > 2 ? runs[runs.length - 2] : 0);
    if (run < 0 || at + run > pixels.length) throw new Error("a mask does not fill its window");
    if (runs.length % 2 === 1) {
      for (let j = at; j < at + run; j++) pixels[(j % height) * width + Math.floor(j / height)] = 1;
    }
    at += run;
    runs.push(run);
  }
  if (at !== pixels.length) throw new Error("a mask does not fill its window");
  return pixels;
}

/** 17 times [x, y, score], in the order of COCO. */
function keypoints(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: 17 }, (_, i) => [0, 4, 8].map((byte) => view.getFloat32(12 * i + byte, true)));
}

function describe(person) {
  const [x, y] = keypoints(person.keypoints)[0];
  const covers = person.mask && decodeMask(person.mask).reduce((sum, pixel) => sum + pixel, 0);
  const mask = person.mask ? `mask of ${covers} pixels at ${person.mask.origin.join(", ")}` : "no mask";
  return `  person ${person.id}: nose at ${x.toFixed(1)}, ${y.toFixed(1)}; ${mask}`;
}

const socket = new Subscriber(); // encrypted: new Subscriber({ curveServerKey, curvePublicKey, curveSecretKey })
socket.subscribe("info/", "status/", "people/");
socket.connect(process.argv[2] ?? "tcp://127.0.0.1:5555");

const expected = new Map();
const running = new Set();
for await (const [topic, body] of socket) {
  const message = decode(body);
  if (message.v[0] !== 1) throw new Error(`cannot read version ${message.v.join(".")}`);
  const kind = topic.toString().split("/")[0];
  const { stream, seq } = message;
  if (kind === "people") {
    running.add(stream);
    const lost = Math.max(0, seq - (expected.get(stream) ?? seq));
    expected.set(stream, seq + 1);
    console.log([`${stream} frame ${seq}, ${lost} lost before it`, ...message.people.map(describe)].join("\n"));
  } else if (kind === "status" && ["ended", "failed"].includes(message.state)) {
    running.delete(stream);
    if (running.size === 0) break;
  }
}
socket.close();
