"use strict";
(() => {
const scene = JSON.parse(document.getElementById("scene").textContent);
const byId = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const HARDLY_SEEN = 0.3; // confidence below which a joint is drawn hollow
const FIELD_OF_VIEW = 40 * Math.PI / 180; // of the 3D view, from top to bottom
const NEAR = 0.1; // meters; nothing nearer to the eye is drawn
const BONE_M = 0.035; // thickness
const FOOT_M = 0.13; // radius of the disc under a standing foot
const FOLLOWED_S = 1; // time over which the path is averaged that the view follows
const FOLLOWED_M = 0.9; // reach around it that stays in view
const FOLLOW_FROM_M = 2.5; // extent of the scene beyond which the view follows by itself
const PATH_POINTS = 3000; // of a path over the floor, at most

// data

function unpacked({ low, step, bits, data }) {
  const bytes = bytesOf(data);
  return Float32Array.from(bits === 8 ? bytes : new Uint16Array(bytes.buffer), (integer) => low + step * integer);
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const people = scene.people.map((packed) => {
  const person = { ...packed };
  for (const name of ["joints", "points", "seen", "feet"]) person[name] = unpacked(packed[name]);
  person.path = averagedPath(person);
  return person;
});
const J = scene.joints.length, K = 17;
const [PELVIS, HEAD, ANKLES] = [0, scene.joints.indexOf("Head"), [scene.joints.indexOf("LAnkle"), scene.joints.indexOf("RAnkle")]];
const last = Math.max(...people.map((p) => p.start + (p.frames - 1) / p.fps));

/** The pelvis over the floor, x and y of each frame, averaged over time. */
function averagedPath({ joints, frames, fps }) {
  const reach = Math.round(FOLLOWED_S * fps / 2), stride = scene.joints.length * 3, path = new Float32Array(2 * frames);
  for (let c = 0; c < 2; c++) {
    let sum = 0, count = 0;
    for (let i = -reach; i < frames; i++) {
      if (i + reach < frames) { sum += joints[(i + reach) * stride + c]; count++; }
      if (i - reach - 1 >= 0) { sum -= joints[(i - reach - 1) * stride + c]; count--; }
      if (i >= 0) path[2 * i + c] = sum / count;
    }
  }
  return path;
}

/** Which frame of a person is on show, or -1. */
function frameAt(person, time) {
  const frame = Math.floor((time - person.start) * person.fps + 1e-3);
  return frame >= 0 && frame < person.frames ? frame : -1;
}

const inWords = (s) => s < 59.995 ? `${s.toFixed(2)} s` : `${Math.floor(s / 60)}:${(s % 60).toFixed(2).padStart(5, "0")}`;

// one clock for everything; the video's while it plays

const video = byId("video");
let filmed = Boolean(video);
let time = scene.start, playing = false, speed = 1, before = 0;

if (video) {
  const lost = () => {
    filmed = false;
    video.hidden = true;
    byId("no-video").hidden = false;
    draw();
  };
  video.addEventListener("error", lost);
  if (byId("film")) {
    video.src = URL.createObjectURL(new Blob([bytesOf(byId("film").textContent)]));
    byId("film").remove();
  }
  if (video.error) lost();
}

function seek(to) {
  time = clamp(to, scene.start, last);
  if (filmed) video.currentTime = time + 1e-3; // just within the frame, against rounding
  if (playing) runFilm();
  draw();
}

function runFilm() {
  if (!filmed || time >= video.duration) return; // past its end it would start again
  video.playbackRate = speed;
  video.play().catch(() => {}); // then the clock goes on without it
}

function play() {
  if (time >= last - 1e-6) seek(scene.start);
  playing = true;
  before = performance.now();
  runFilm();
  showPlaying();
  requestAnimationFrame(tick);
}

function pause() {
  playing = false;
  if (filmed) video.pause();
  showPlaying();
  seek(time); // the video to the very frame that is drawn
}

function tick(now) {
  if (!playing) return;
  const led = filmed && !video.paused && !video.ended && video.readyState > 1;
  time = led ? Math.max(video.currentTime, scene.start) : time + Math.max(now - before, 0) / 1000 * speed;
  before = now;
  if (time >= last) return void pause();
  draw();
  requestAnimationFrame(tick);
}

// a person is picked, the others are drawn faintly

let picked = people[0];

function pick(index) {
  picked = people[index];
  for (const part of all("[data-person]")) part.hidden = Number(part.dataset.person) !== index;
  for (const button of all("[data-pick]")) button.setAttribute("aria-pressed", String(Number(button.dataset.pick) === index));
  spans = all(`[data-person="${index}"] .span`);
  drawStrips();
  draw();
}

// drawing: canvases in device pixels, colors of the theme

let colors = {};

function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "soft", "page", "left", "right", "middle", "grid", "floor", "doubt"]) {
    colors[name] = style.getPropertyValue(`--${name}`).trim();
  }
  colors.sides = [colors.middle, colors.left, colors.right];
}

/** A canvas cleared and scaled to CSS pixels. */
function cleared(canvas) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.lineCap = pen.lineJoin = "round";
  return { pen, width, height };
}

function line(pen, a, b, color, width, alpha) {
  pen.globalAlpha = alpha;
  pen.strokeStyle = color;
  pen.lineWidth = width;
  pen.beginPath();
  pen.moveTo(a[0], a[1]);
  pen.lineTo(b[0], b[1]);
  pen.stroke();
}

/** A joint: a dot, or a ring where it was hardly seen. */
function dot(pen, at, radius, color, confidence, alpha) {
  const hollow = confidence < HARDLY_SEEN;
  pen.globalAlpha = alpha;
  pen.beginPath();
  pen.arc(at[0], at[1], hollow ? radius * 1.25 : radius, 0, 7);
  pen.fillStyle = hollow ? colors.page : color;
  pen.fill();
  if (hollow) {
    pen.strokeStyle = color;
    pen.lineWidth = Math.max(radius * 0.5, 1.5);
    pen.stroke();
  }
}

function label(pen, text, x, y, strong, halo) {
  pen.globalAlpha = 1;
  pen.font = `${strong ? 700 : 400} 14px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.lineWidth = 4;
  pen.strokeStyle = halo;
  pen.strokeText(text, x, y);
  pen.fillStyle = strong ? colors.ink : colors.soft;
  pen.fillText(text, x, y);
}

const sideOf = (bones, count) => {
  const sides = new Array(count).fill(0);
  for (const [child, , side] of bones) sides[child] = side || sides[child];
  return sides;
};
const sides3d = sideOf(scene.bones, J), sides2d = sideOf(scene.bones2d, K);

// the image

const flat = byId("flat");
const ON_FILM = { page: "#000000", sides: ["#d5d9e0", "#ff9c55", "#5cabff"] }; // over any picture, with a dark halo

function drawFlat() {
  const { pen, width, height } = cleared(flat);
  const scale = Math.min(width / scene.width, height / scene.height);
  const left = (width - scale * scene.width) / 2, top = (height - scale * scene.height) / 2;
  if (!filmed) {
    pen.fillStyle = colors.floor;
    pen.fillRect(left, top, scale * scene.width, scale * scene.height);
    pen.strokeStyle = colors.grid;
    pen.strokeRect(left + 0.5, top + 0.5, scale * scene.width - 1, scale * scene.height - 1);
  }
  const sides = filmed ? ON_FILM.sides : colors.sides;
  for (const person of fromFaintToPicked()) {
    const frame = frameAt(person, time);
    if (frame < 0) continue;
    const own = person === picked, faint = own ? 1 : 0.55;
    const at = [], seen = person.seen.subarray(frame * K, frame * K + K);
    for (let k = 0; k < K; k++) {
      const i = 2 * (frame * K + k);
      at.push([left + scale * person.points[i], top + scale * person.points[i + 1]]);
    }
    const thick = own ? 3 : 2;
    if (filmed) for (const [child, parent] of scene.bones2d) line(pen, at[child], at[parent], "#000000", thick + 2.5, 0.5 * faint);
    for (const [child, parent, side] of scene.bones2d) {
      line(pen, at[child], at[parent], sides[side], thick, faint * (0.3 + 0.7 * Math.min(seen[child], seen[parent])));
    }
    for (let k = 0; k < K; k++) dot(pen, at[k], own ? 3.5 : 2.5, sides[sides2d[k]], seen[k], faint);
    if (people.length > 1) label(pen, person.person, at[0][0], Math.min(...at.map((p) => p[1])) - 12, own, colors.page);
  }
}

const fromFaintToPicked = () => [...people.filter((p) => p !== picked), picked];

// the room

const deep = byId("deep");
const bounds = { low: [Infinity, Infinity, Infinity], high: [-Infinity, -Infinity, -Infinity] };
for (const { joints } of people) {
  for (let i = 0; i < joints.length; i++) {
    bounds.low[i % 3] = Math.min(bounds.low[i % 3], joints[i]);
    bounds.high[i % 3] = Math.max(bounds.high[i % 3], joints[i]);
  }
}
const extent = [0, 1].map((c) => bounds.high[c] - bounds.low[c]);
const height = Math.max(bounds.high[2], 1.5);
const square = Math.max(...extent) > 40 ? 5 : 1; // meters
const view = { turn: 0, tilt: 0, away: 0, follow: Math.max(...extent) > FOLLOW_FROM_M };

/** How far the eye must be from what it looks at to see all of it: the corners of a box, each within the canvas. */
function fitting() {
  const half = view.follow ? [FOLLOWED_M, FOLLOWED_M, height / 2] : [extent[0] / 2, extent[1] / 2, height / 2];
  const focal = 0.5 / Math.tan(FIELD_OF_VIEW / 2), wide = deep.clientWidth / deep.clientHeight || 1; // heights of the canvas
  let away = 2;
  for (let corner = 0; corner < 8; corner++) {
    const [across, up, ahead] = turned(...half.map((size, c) => corner >> c & 1 ? size : -size));
    away = Math.max(away, Math.abs(across) * focal / (0.44 * wide) - ahead, Math.abs(up) * focal / 0.44 - ahead);
  }
  return away;
}

/** A direction in the world, in the axes of the eye: across, up and ahead. */
function turned(x, y, z) {
  const across = Math.cos(view.turn) * x + Math.sin(view.turn) * y, ahead = Math.cos(view.turn) * y - Math.sin(view.turn) * x;
  const [sin, cos] = [Math.sin(view.tilt), Math.cos(view.tilt)];
  return [across, sin * ahead + cos * z, cos * ahead - sin * z];
}

function look(turn, tilt) {
  Object.assign(view, { turn: turn * Math.PI / 180, tilt: tilt * Math.PI / 180 });
  view.away = fitting();
}

/** From meters in the world to [x, y, depth] on the canvas, depth in meters. */
function projector(wide, tall) {
  const focal = tall / 2 / Math.tan(FIELD_OF_VIEW / 2);
  const frame = clamp(Math.floor((time - picked.start) * picked.fps + 1e-3), 0, picked.frames - 1);
  const [x0, y0] = view.follow
    ? [picked.path[2 * frame], picked.path[2 * frame + 1]]
    : [0, 1].map((c) => (bounds.low[c] + bounds.high[c]) / 2);
  const toEye = (x, y, z) => {
    const [across, up, ahead] = turned(x - x0, y - y0, z - height / 2);
    return [across, up, view.away + ahead];
  };
  const onCanvas = ([across, up, ahead]) => [wide / 2 + focal * across / ahead, tall / 2 - focal * up / ahead, ahead];
  return { toEye, onCanvas, project: (x, y, z) => onCanvas(toEye(x, y, z)), focal };
}

/** A line on the floor, cut off where it comes too near to the eye. */
function floorLine(path, { toEye, onCanvas }, from, to) {
  let a = toEye(...from, 0), b = toEye(...to, 0);
  if (a[2] < NEAR && b[2] < NEAR) return;
  const cut = (p, q) => p.map((value, c) => value + (q[c] - value) * (NEAR - p[2]) / (q[2] - p[2]));
  if (a[2] < NEAR) a = cut(a, b);
  else if (b[2] < NEAR) b = cut(b, a);
  a = onCanvas(a);
  b = onCanvas(b);
  path.moveTo(a[0], a[1]);
  path.lineTo(b[0], b[1]);
}

function drawDeep() {
  const { pen, width, height: tall } = cleared(deep);
  const eye = projector(width, tall);

  const [west, south] = [0, 1].map((c) => square * (Math.floor(bounds.low[c] / square) - 1));
  const [east, north] = [0, 1].map((c) => square * (Math.ceil(bounds.high[c] / square) + 1));
  const grid = new Path2D();
  for (let x = west; x <= east; x += square) floorLine(grid, eye, [x, south], [x, north]);
  for (let y = south; y <= north; y += square) floorLine(grid, eye, [west, y], [east, y]);
  pen.strokeStyle = colors.grid;
  pen.lineWidth = 1;
  pen.stroke(grid);

  for (const person of fromFaintToPicked()) {
    const own = person === picked;
    const stride = Math.max(1, Math.ceil(person.frames / PATH_POINTS)), path = new Path2D();
    const floor = (i) => [person.joints[3 * J * i], person.joints[3 * J * i + 1]];
    for (let i = stride; i < person.frames; i += stride) floorLine(path, eye, floor(i - stride), floor(i));
    pen.globalAlpha = own ? 0.55 : 0.25;
    pen.strokeStyle = colors.middle;
    pen.lineWidth = 1.5;
    pen.stroke(path);
  }

  const drawings = []; // [depth, what to do]
  byId("absent").hidden = frameAt(picked, time) >= 0;
  for (const person of people) {
    const frame = frameAt(person, time);
    if (frame < 0) continue;
    const own = person === picked, faint = own ? 1 : 0.45;
    const joint = (j) => person.joints.subarray(3 * (frame * J + j), 3 * (frame * J + j) + 3);
    const seen = scene.madeOf.map((made) => Math.min(...made.map((k) => person.seen[frame * K + k])));
    const at = [], shadow = [];
    for (let j = 0; j < J; j++) {
      const [x, y, z] = joint(j);
      at.push(eye.project(x, y, z));
      shadow.push(eye.project(x, y, 0));
    }
    for (const [child, parent] of scene.bones) {
      if (Math.min(shadow[child][2], shadow[parent][2]) < NEAR) continue;
      line(pen, shadow[child], shadow[parent], colors.ink, eye.focal * BONE_M / shadow[child][2], 0.09 * faint);
    }
    ANKLES.forEach((ankle, side) => {
      if (person.feet[2 * frame + side] < 0.5) return;
      const [x, y] = joint(ankle), rim = [];
      for (let i = 0; i < 20; i++) rim.push(eye.project(x + FOOT_M * Math.cos(i * Math.PI / 10), y + FOOT_M * Math.sin(i * Math.PI / 10), 0));
      if (rim.some((p) => p[2] < NEAR)) return;
      pen.beginPath();
      for (const p of rim) pen.lineTo(p[0], p[1]);
      pen.closePath();
      pen.fillStyle = pen.strokeStyle = colors.sides[side + 1];
      pen.globalAlpha = 0.3 * faint;
      pen.fill();
      pen.globalAlpha = faint;
      pen.lineWidth = 1.5;
      pen.stroke();
    });
    const size = (depth, meters) => Math.max(eye.focal * meters / depth, 1.5) * (own ? 1 : 0.7);
    for (const [child, parent, side] of scene.bones) {
      const [a, b] = [at[child], at[parent]], depth = (a[2] + b[2]) / 2;
      if (Math.min(a[2], b[2]) < NEAR) continue;
      const alpha = faint * (0.35 + 0.65 * Math.min(seen[child], seen[parent]));
      drawings.push([depth, () => line(pen, a, b, colors.sides[side], size(depth, BONE_M), alpha)]);
    }
    at.forEach((p, j) => {
      if (p[2] < NEAR) return;
      const radius = size(p[2], j === HEAD ? 0.09 : BONE_M * 0.75);
      drawings.push([p[2] - 0.02, () => dot(pen, p, radius, colors.sides[sides3d[j]], seen[j], faint)]);
    });
    if (people.length > 1 && at[HEAD][2] > NEAR) {
      drawings.push([0, () => label(pen, person.person, at[HEAD][0], at[HEAD][1] - size(at[HEAD][2], 0.16) - 4, own, colors.page)]);
    }
  }
  for (const [, drawOne] of drawings.sort((a, b) => b[0] - a[0])) drawOne();
  pen.globalAlpha = 1;
}

// bands over time

/** Rows over time, one mean of `value(frame, row)`, 0 to 1, per row and column of pixels. */
function drawStrip(canvas, rows, value, colorOf) {
  const { pen, width, height: tall } = cleared(canvas);
  const whole = scene.stop - scene.start, { start, fps, frames } = picked;
  const atX = (x) => (scene.start + whole * x / width - start) * fps; // frame
  for (let row = 0; row < rows; row++) {
    const top = Math.round(row * tall / rows), bottom = Math.round((row + 1) * tall / rows) - 1;
    pen.fillStyle = colorOf(row);
    for (let x = 0; x < width; x++) {
      const first = Math.max(Math.floor(atX(x) + 1e-6), 0), stop = Math.min(Math.max(Math.ceil(atX(x + 1) - 1e-6), first + 1), frames);
      if (first >= stop || atX(x + 0.5) < 0 || atX(x + 0.5) >= frames) continue;
      let sum = 0;
      for (let i = first; i < stop; i++) sum += value(i, row);
      pen.globalAlpha = 0.06 + 0.94 * sum / (stop - first);
      pen.fillRect(x, top, 1, bottom - top);
    }
  }
}

function drawStrips() {
  drawStrip(byId("doubt"), K, (i, k) => 1 - picked.seen[i * K + k], () => colors.doubt);
  drawStrip(byId("steps"), 2, (i, side) => picked.feet[2 * i + side], (side) => colors.sides[side + 1]);
}

let spans = [];
const numbers = all("#joints output"), steps = all("#feet output");

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function drawBands() {
  const frame = frameAt(picked, time), part = (time - scene.start) / (scene.stop - scene.start);
  byId("playhead").style.left = `calc(var(--gutter) + ${part} * (100% - var(--gutter)))`;
  byId("slider").value = time;
  byId("slider").setAttribute("aria-valuetext", inWords(time));
  write(byId("time"), inWords(time));
  write(byId("frame"), frame < 0 ? "" : `frame ${frame + 1} of ${picked.frames}`);
  const current = spans.filter((span) => {
    const on = frame >= 0 && Number(span.dataset.start) <= time + 1e-6 && time + 1e-6 < Number(span.dataset.stop);
    span.classList.toggle("current", on);
    return on;
  });
  const words = (kind) => current.filter((span) => span.classList.contains(kind)).map((span) => span.textContent.trim()).join("; ");
  write(byId("action"), words("action"));
  write(byId("warning"), words("warning"));
  numbers.forEach((output, k) => {
    const seen = frame < 0 ? NaN : picked.seen[frame * K + k];
    write(output, frame < 0 ? "" : seen === 0 ? "filled" : `${Math.round(100 * seen)} %`);
    output.classList.toggle("low", seen < HARDLY_SEEN);
  });
  steps.forEach((output, side) => write(output, frame < 0 ? "" : picked.feet[2 * frame + side] < 0.5 ? "–" : "stands"));
}

function draw() {
  drawFlat();
  drawDeep();
  drawBands();
}

// what people do

function showPlaying() {
  byId("play").textContent = playing ? "❚❚" : "▶";
  byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
}

/** One frame of the picked person, or some seconds. */
function step(frames, seconds = 0) {
  pause();
  const frame = Math.floor((time - picked.start) * picked.fps + 1e-3);
  seek(seconds ? time + seconds : picked.start + (frame + frames) / picked.fps);
}

const toggle = () => playing ? pause() : play();
byId("play").addEventListener("click", toggle);
byId("back").addEventListener("click", () => step(-1));
byId("forth").addEventListener("click", () => step(1));
byId("slider").addEventListener("input", (event) => seek(Number(event.target.value)));
byId("speed").addEventListener("change", (event) => {
  speed = Number(event.target.value);
  if (filmed) video.playbackRate = speed;
});
byId("follow").addEventListener("change", (event) => {
  view.follow = event.target.checked;
  view.away = fitting();
  draw();
});
for (const button of all("button[data-start]")) button.addEventListener("click", () => seek(Number(button.dataset.start)));
for (const button of all("[data-pick]")) button.addEventListener("click", () => pick(Number(button.dataset.pick)));
for (const button of all("[data-turn]")) {
  button.addEventListener("click", () => {
    look(Number(button.dataset.turn), Number(button.dataset.tilt));
    draw();
  });
}
for (const strip of [byId("doubt"), byId("steps")]) {
  strip.addEventListener("click", (event) => seek(scene.start + (scene.stop - scene.start) * event.offsetX / strip.clientWidth));
}
document.addEventListener("click", (event) => { // so that space plays after a click, and is the button's after a tab
  const button = event.target.closest("button");
  if (button && event.detail > 0) button.blur();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
  const frames = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (frames) step(frames, event.shiftKey ? frames : 0);
  else if (event.key === " " && !event.target.closest("button, summary, [type=checkbox]")) toggle();
  else return;
  event.preventDefault();
});

const fingers = new Map();
const spread = () => {
  const [a, b] = [...fingers.values()];
  return Math.hypot(a.x - b.x, a.y - b.y);
};
const zoom = (factor) => { view.away = clamp(view.away * factor, 0.8, 400); };
deep.addEventListener("pointerdown", (event) => {
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  deep.setPointerCapture(event.pointerId);
});
deep.addEventListener("pointermove", (event) => {
  const finger = fingers.get(event.pointerId);
  if (!finger) return;
  const apart = fingers.size === 2 ? spread() : 0;
  const [dx, dy] = [event.clientX - finger.x, event.clientY - finger.y];
  Object.assign(finger, { x: event.clientX, y: event.clientY });
  if (fingers.size === 2) zoom(apart / Math.max(spread(), 1));
  else {
    view.turn -= dx * 0.01;
    view.tilt = clamp(view.tilt + dy * 0.01, -0.1, Math.PI / 2);
  }
  draw();
});
for (const kind of ["pointerup", "pointercancel"]) deep.addEventListener(kind, (event) => fingers.delete(event.pointerId));
deep.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(clamp(event.deltaY, -100, 100) * 0.0015));
  draw();
}, { passive: false });
deep.addEventListener("dblclick", () => {
  look(30, 15);
  draw();
});

/** #t=1.5, &person=2, &play */
function fromAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const person = people.findIndex((p) => String(p.person) === wanted.get("person"));
  if (person >= 0) pick(person);
  if (Number.isFinite(parseFloat(wanted.get("t")))) seek(parseFloat(wanted.get("t")));
  if (wanted.has("play")) play();
}

byId("square").textContent = square;
byId("follow").checked = view.follow;
readColors();
look(30, 15);
pick(0);
seek(scene.start);
fromAddress();
window.addEventListener("hashchange", fromAddress);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColors();
  drawStrips();
  draw();
});
const resized = new ResizeObserver(() => {
  drawStrips();
  draw();
});
for (const canvas of all("canvas")) resized.observe(canvas);
})();
