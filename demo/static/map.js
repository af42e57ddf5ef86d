// London without tiles: land, parks, the Thames and a few names, then the people on top.

const NS = "http://www.w3.org/2000/svg";
const CENTRE = { latitude: 51.5045, longitude: -0.115 };
const WIDTH = 1000;
const HEIGHT = 830;
const UNITS_PER_KM = 21.6;
const KM_PER_LATITUDE = 111.2;
const KM_PER_LONGITUDE = 69.2;
const LABEL_ROOM = { x: 112, y: 38 };
const MEMBERS_DRAWN_MAX = 6000;

// Drawn by hand from Sunbury to Erith: [longitude, latitude].
const THAMES = [
  [-0.47, 51.392], [-0.41, 51.404], [-0.375, 51.4085], [-0.3425, 51.4037], [-0.3095, 51.411], [-0.312, 51.42],
  [-0.321, 51.43], [-0.33, 51.444], [-0.315, 51.448], [-0.3075, 51.4575], [-0.317, 51.4625], [-0.3235, 51.47],
  [-0.318, 51.477], [-0.305, 51.4815], [-0.2875, 51.4868], [-0.279, 51.485], [-0.2695, 51.4735], [-0.255, 51.4715],
  [-0.2465, 51.4785], [-0.247, 51.487], [-0.238, 51.4905], [-0.2305, 51.4883], [-0.2265, 51.48], [-0.2225, 51.4735],
  [-0.213, 51.467], [-0.2, 51.463], [-0.188, 51.465], [-0.1795, 51.4735], [-0.1725, 51.4812], [-0.1665, 51.4823],
  [-0.15, 51.4848], [-0.137, 51.4845], [-0.127, 51.4875], [-0.1235, 51.4943], [-0.1217, 51.5008], [-0.12, 51.5062],
  [-0.1148, 51.509], [-0.1045, 51.5095], [-0.0945, 51.5087], [-0.0877, 51.5079], [-0.0754, 51.5055], [-0.061, 51.503],
  [-0.05, 51.5045], [-0.0395, 51.5092], [-0.0315, 51.507], [-0.0285, 51.5], [-0.0285, 51.491], [-0.022, 51.4862],
  [-0.009, 51.484], [0.0005, 51.4872], [-0.0008, 51.496], [0.0005, 51.5045], [0.006, 51.5075], [0.0125, 51.503],
  [0.0195, 51.4955], [0.0365, 51.497], [0.05, 51.4948], [0.062, 51.496], [0.078, 51.4995], [0.0895, 51.509],
  [0.099, 51.515], [0.114, 51.516], [0.13, 51.513], [0.153, 51.512], [0.17, 51.504], [0.178, 51.487], [0.2, 51.482],
  [0.235, 51.479], [0.26, 51.466], [0.32, 51.452],
];
const BARRIER = 55; // From the Thames Barrier on it is nearly the sea.

// Longitude, latitude, and how far they stretch in km.
const PARKS = [
  [-0.275, 51.4435, 1.7, 1.5], [-0.1655, 51.5075, 1.15, 0.5], [-0.1545, 51.5305, 0.65, 0.6], [-0.164, 51.5635, 0.85, 0.75],
  [-0.0375, 51.5365, 0.75, 0.35], [0.002, 51.4765, 0.5, 0.5], [-0.157, 51.479, 0.5, 0.28], [-0.235, 51.4325, 1.2, 0.9],
  [-0.322, 51.407, 1.1, 0.75], [-0.2935, 51.4775, 0.5, 0.75], [0.045, 51.63, 1.1, 1.8], [-0.0165, 51.57, 0.35, 1.2],
];

const FIRST_NAMES_ON_THE_MAP = [
  "Soho", "Notting Hill", "Hackney", "Camden Town", "Brixton", "Greenwich", "Stratford", "Wimbledon", "Richmond", "Peckham",
  "Walthamstow", "Ealing", "Tottenham", "Croydon", "Wembley", "Ilford", "Bromley", "Hounslow", "Finchley", "Woolwich",
];
const MINOR_AFTER = 14;

export class Map {
  constructor(svg) {
    this.svg = svg;
    this.layers = {};
    this.fresh = " new"; // A class for what appears now.
    for (const name of ["ground", "names", "ties", "people"]) this.layers[name] = svg.appendChild(node("g"));
    this.clear();
  }

  async draw() {
    const places = await (await fetch("/map.json")).json();
    const ground = this.layers.ground;
    const hull = convexHull(places.map(([, latitude, longitude]) => at(latitude, longitude)));
    ground.append(node("path", { class: "land", d: smoothRing(hull) }));
    for (const [longitude, latitude, east, north] of PARKS) {
      const [cx, cy] = at(latitude, longitude);
      ground.append(node("ellipse", { class: "park", cx, cy, rx: east * UNITS_PER_KM, ry: north * UNITS_PER_KM }));
    }
    const river = THAMES.map(([longitude, latitude]) => at(latitude, longitude));
    ground.append(node("path", { class: "river", d: smooth(river) }));
    ground.append(node("path", { class: "river sea", d: smooth(river.slice(BARRIER)) }));
    this.#writeNames(places);
  }

  clear() {
    this.people = [];
    this.introductions = new globalThis.Map();
    this.layers.ties.replaceChildren();
    this.layers.people.replaceChildren();
  }

  // What was there before the page was opened does not appear, it is there.
  atOnce(change) {
    this.fresh = "";
    change();
    this.fresh = " new";
  }

  addMember([number, latitude, longitude, opener]) {
    const [cx, cy] = at(latitude, longitude);
    const person = { point: [cx, cy], ties: new globalThis.Map() };
    this.people[number] = person;
    if (number >= MEMBERS_DRAWN_MAX) return;
    if (opener) this.layers.people.append(node("circle", { class: `ring${this.fresh}`, cx, cy }));
    person.dot = this.layers.people.appendChild(node("circle", { class: `member${this.fresh}`, cx, cy }));
  }

  setIntroduction(introduction) {
    const before = this.introductions.get(introduction.id);
    before?.tie.remove();
    for (const number of before?.members ?? []) this.#mark(number, introduction.id, null);
    this.introductions.delete(introduction.id);
    if (introduction.state === "closed") return;
    const tie = this.#tie(introduction);
    this.layers.ties.append(tie);
    this.introductions.set(introduction.id, { tie, members: introduction.members });
    for (const number of introduction.members) this.#mark(number, introduction.id, introduction.state);
  }

  describe(funnel) {
    document.getElementById("map-text").textContent =
      `A map of London with ${funnel.signed_up} members, of whom ${funnel.introduced} have been introduced to somebody.`;
  }

  #mark(number, id, state) {
    const person = this.people[number];
    if (!person) return;
    if (state) person.ties.set(id, state);
    else person.ties.delete(id);
    const states = [...person.ties.values()];
    person.dot?.classList.toggle("met", states.includes("introduced"));
    person.dot?.classList.toggle("invited", states.includes("proposed"));
  }

  #tie({ state, members, opener }) {
    const points = members.filter((number) => this.people[number]).map((number) => this.people[number].point);
    if (points.length === 2) return node("path", { class: `tie ${state}${this.fresh}`, d: bow(points[0], points[1]) });
    if (state === "proposed") {
      // Still strangers: threads to whoever may go first, or to the middle.
      const middle = this.people[opener]?.point ?? mean(points);
      return node("path", { class: "tie proposed", d: points.map((point) => bow(middle, point)).join("") });
    }
    const hull = convexHull(points);
    return node("path", { class: `tie introduced group${this.fresh}`, d: `M${hull.map((point) => point.join(" ")).join("L")}Z` });
  }

  #writeNames(places) {
    const byName = new globalThis.Map(places.map((place) => [place[0], place]));
    const wanted = [...FIRST_NAMES_ON_THE_MAP.map((name) => byName.get(name)).filter(Boolean), ...places];
    const written = [];
    for (const [name, latitude, longitude] of wanted) {
      const [x, y] = at(latitude, longitude);
      const inside = x > 60 && x < WIDTH - 60 && y > 50 && y < HEIGHT - 24;
      const free = written.every((other) => Math.abs(other.x - x) > LABEL_ROOM.x || Math.abs(other.y - y) > LABEL_ROOM.y);
      if (!inside || !free) continue;
      const minor = written.length >= MINOR_AFTER ? " minor" : "";
      written.push({ x, y });
      const text = node("text", { class: `place${minor}`, x, y: y + 5 });
      text.textContent = name;
      this.layers.names.append(text);
    }
  }
}

function at(latitude, longitude) {
  return [
    round(WIDTH / 2 + (longitude - CENTRE.longitude) * KM_PER_LONGITUDE * UNITS_PER_KM),
    round(HEIGHT / 2 - (latitude - CENTRE.latitude) * KM_PER_LATITUDE * UNITS_PER_KM),
  ];
}

function node(name, attributes = {}) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// A line with a slight bend, so that ties between the same places can be told apart.
function bow([x1, y1], [x2, y2]) {
  const bend = 0.13;
  return `M${x1} ${y1}Q${round((x1 + x2) / 2 + (y2 - y1) * bend)} ${round((y1 + y2) / 2 - (x2 - x1) * bend)} ${x2} ${y2}`;
}

// Through the middles of the lines between the points: no corner is left.
function smooth(points) {
  let path = `M${points[0].join(" ")}`;
  for (let i = 1; i < points.length - 1; i += 1) {
    path += `Q${points[i].join(" ")} ${mean([points[i], points[i + 1]]).join(" ")}`;
  }
  return `${path}L${points.at(-1).join(" ")}`;
}

function smoothRing(points) {
  const middles = points.map((point, i) => mean([point, points[(i + 1) % points.length]]));
  return `M${middles.at(-1).join(" ")}${points.map((point, i) => `Q${point.join(" ")} ${middles[i].join(" ")}`).join("")}Z`;
}

// Andrew's monotone chain.
function convexHull(points) {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const turn = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
  const half = (ordered) => {
    const kept = [];
    for (const point of ordered) {
      while (kept.length > 1 && turn(kept.at(-2), kept.at(-1), point) <= 0) kept.pop();
      kept.push(point);
    }
    return kept.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

function mean(points) {
  const sum = points.reduce(([x, y], point) => [x + point[0], y + point[1]], [0, 0]);
  return [round(sum[0] / points.length), round(sum[1] / points.length)];
}

function round(value) {
  return Math.round(value * 10) / 10;
}
