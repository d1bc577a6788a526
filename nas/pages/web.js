// Runs the network of this page on a picture or on the camera's, and draws the poses that it finds.

const element = (id) => document.getElementById(id);
const config = JSON.parse(element("config").textContent);
const view = element("view"), pen = view.getContext("2d");
const input = document.createElement("canvas");
input.width = config.width;
input.height = config.height;
const eye = input.getContext("2d", { willReadFrequently: true });
const crops = config.task === "crop";

let session, ort;
let shown = null; // what was looked at last: a picture, or the camera's video
let stream = null;

/** The bytes that an element holds as base64; it is empty afterwards. */
function bytes(id) {
  const text = atob(element(id).textContent.trim());
  element(id).remove();
  const array = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) array[place] = text.charCodeAt(place);
  return array;
}

function tell(text, wrong = false) {
  element("status").textContent = text;
  element("status").className = wrong ? "wrong" : "";
}

/** What was to be done could not: the reason is told, and the camera rests. */
function fail(error) {
  stop();
  tell(`That did not work: ${error.message}`, true);
}

async function load() {
  const url = URL.createObjectURL(new Blob([bytes("library")], { type: "text/javascript" }));
  ort = await import(url);
  URL.revokeObjectURL(url);
  ort.env.wasm.numThreads = 1; // more would need a server that isolates the page
  ort.env.wasm.wasmBinary = bytes("binary");
  session = await ort.InferenceSession.create(bytes("model"), { executionProviders: ["wasm"] });
  const black = new ort.Tensor("uint8", new Uint8Array(config.height * config.width * 3), [1, config.height, config.width, 3]);
  await session.run({ [session.inputNames[0]]: black }); // the first run takes longer
  element("file").disabled = element("camera").disabled = false;
  tell("Choose a picture, or start the camera.");
}

/** Scale and shift by which a box (edges, px) fits into the input, its middle on the input's. */
function fit(box, padding) {
  const [x0, y0, x1, y1] = box;
  const scale = Math.min(config.width / (x1 - x0), config.height / (y1 - y0)) / padding;
  return { scale, x: (config.width - scale * (x0 + x1)) / 2, y: (config.height - scale * (y0 + y1)) / 2 };
}

/** The people in a source of that size; of a network for crops the one in the box, or in all of it. */
async function find(source, width, height, box) {
  const start = performance.now();
  const place = fit(box || [0, 0, width, height], box ? config.padding : 1);
  eye.setTransform(1, 0, 0, 1, 0, 0);
  eye.fillStyle = config.border;
  eye.fillRect(0, 0, input.width, input.height);
  eye.imageSmoothingQuality = "high";
  eye.setTransform(place.scale, 0, 0, place.scale, place.x, place.y);
  eye.drawImage(source, 0, 0, width, height);
  const rgba = eye.getImageData(0, 0, input.width, input.height).data;
  const rgb = new Uint8Array(input.width * input.height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  const images = new ort.Tensor("uint8", rgb, [1, config.height, config.width, 3]);
  const prepared = performance.now();
  const found = await session.run({ [session.inputNames[0]]: images });
  const done = performance.now();
  const joints = config.keypoints.length, values = found.keypoints.data;
  const people = Array.from(found.scores.data, (score, person) => ({
    score,
    keypoints: Array.from({ length: joints }, (_, joint) => {
      const [x, y, sure] = values.subarray(3 * (person * joints + joint), 3 * (person * joints + joint) + 3);
      // The first pixel's centre is 0; on a canvas its edge is.
      return [(x + 0.5 - place.x) / place.scale, (y + 0.5 - place.y) / place.scale, sure];
    }),
  }));
  return { people: people.filter((person) => person.score >= config.minPose), prepare: prepared - start, network: done - prepared };
}

/** The box around the sure keypoints of a person, grown about its middle. */
function around(person) {
  const sure = person.keypoints.filter((point) => point[2] >= config.minKeypoint);
  if (sure.length < 2) return null;
  const xs = sure.map((point) => point[0]), ys = sure.map((point) => point[1]);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const least = (config.thinnest * Math.max(x1 - x0, y1 - y0)) / 2;
  const across = Math.max((x1 - x0) / 2, least) * config.margin, down = Math.max((y1 - y0) / 2, least) * config.margin;
  return [(x0 + x1) / 2 - across, (y0 + y1) / 2 - down, (x0 + x1) / 2 + across, (y0 + y1) / 2 + down];
}

function draw(source, width, height, people, box) {
  if (view.width !== width || view.height !== height) [view.width, view.height] = [width, height];
  pen.globalAlpha = 1;
  pen.drawImage(source, 0, 0, width, height);
  const thick = Math.max(1.5, Math.min(width, height) / 150);
  pen.lineWidth = thick;
  if (box) {
    pen.strokeStyle = config.middle;
    pen.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
  }
  for (const person of people) {
    pen.globalAlpha = 0.4 + 0.6 * Math.min(1, person.score);
    const seen = person.keypoints.map((point) => point[2] >= config.minKeypoint);
    for (const [from, to] of config.limbs) {
      if (!seen[from] || !seen[to]) continue;
      pen.strokeStyle = config.colours[from] === config.colours[to] ? config.colours[from] : config.middle;
      pen.beginPath();
      pen.moveTo(...person.keypoints[from].slice(0, 2));
      pen.lineTo(...person.keypoints[to].slice(0, 2));
      pen.stroke();
    }
    person.keypoints.forEach((point, joint) => {
      if (!seen[joint]) return;
      pen.fillStyle = config.colours[joint];
      pen.beginPath();
      pen.arc(point[0], point[1], 1.5 * thick, 0, 2 * Math.PI);
      pen.fill();
    });
  }
  pen.globalAlpha = 1;
}

function report(found, more) {
  const count = found.people.length;
  const who = count === 1 ? "1 person" : `${count || "no"} people`;
  tell(`${who}; picture ${found.prepare.toFixed(1)} ms, network ${found.network.toFixed(1)} ms${more}`);
  element("people").textContent = JSON.stringify(found.people);
}

async function look(picture, box = null) {
  stop();
  const width = picture.naturalWidth || picture.width, height = picture.naturalHeight || picture.height;
  const found = await find(picture, width, height, box);
  shown = picture;
  draw(picture, width, height, found.people, box);
  report(found, crops && !box ? ". Draw a box around a person." : "");
}

async function open(url) {
  const picture = new Image();
  picture.src = url;
  try {
    await picture.decode();
  } catch {
    return tell("This is no picture that the browser reads.", true);
  }
  await look(picture);
}

async function start() {
  const video = element("video");
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" }, audio: false });
  } catch (error) {
    return tell(`No camera: ${error.message}`, true);
  }
  const own = stream;
  element("camera").setAttribute("aria-pressed", "true");
  shown = null;
  video.srcObject = own;
  await video.play();
  let box = null, last = performance.now(), rate = 0;
  while (stream === own) {
    const found = await find(video, video.videoWidth, video.videoHeight, box);
    if (stream !== own) break;
    draw(video, video.videoWidth, video.videoHeight, found.people, null);
    box = crops && found.people.length ? around(found.people[0]) : null;
    const now = performance.now();
    rate = 0.9 * rate + 0.1 * (1000 / (now - last));
    last = now;
    report(found, `, ${rate.toFixed(0)} pictures a second`);
    await new Promise(requestAnimationFrame);
  }
}

function stop() {
  if (stream) stream.getTracks().forEach((track) => track.stop());
  stream = null;
  element("camera").setAttribute("aria-pressed", "false");
}

/** Where on the picture a pointer is. */
function at(event) {
  const edge = view.getBoundingClientRect();
  return [((event.clientX - edge.left) * view.width) / edge.width, ((event.clientY - edge.top) * view.height) / edge.height];
}

element("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) open(URL.createObjectURL(file)).catch(fail);
});
element("camera").addEventListener("click", () => (stream ? stop() : start().catch(fail)));
if (crops) {
  let from = null;
  view.style.touchAction = "none";
  view.addEventListener("pointerdown", (event) => {
    if (!shown) return;
    from = at(event);
    if (event.isTrusted) view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointerup", (event) => {
    if (!from || !shown) return;
    const to = at(event), first = from;
    from = null;
    const box = [Math.min(first[0], to[0]), Math.min(first[1], to[1]), Math.max(first[0], to[0]), Math.max(first[1], to[1])];
    if (box[2] - box[0] > 4 && box[3] - box[1] > 4) look(shown, box).catch(fail);
  });
}

load().then(
  () => location.hash.startsWith("#data:image/") && open(location.hash.slice(1)).catch(fail),
  (error) => tell(`The network cannot be loaded: ${error.message}`, true),
);
