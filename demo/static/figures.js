// Numbers, and the last introduction in words.

const number = new Intl.NumberFormat("en-GB");
const HOW_MANY = { 2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six" };
const DAYS = {
  mon: "Monday", tue: "Tuesday", wed: "Wednesday", thu: "Thursday", fri: "Friday", sat: "Saturday", sun: "Sunday",
};

export function showStatus({ phase, funnel, pace }) {
  write("phase", phase);
  showLead(funnel);
  for (const step of document.querySelectorAll("#funnel li")) {
    const value = funnel[step.dataset.step];
    step.querySelector("b").textContent = number.format(value);
    step.querySelector("i").style.setProperty("--share", `${(100 * value) / Math.max(1, funnel.signed_up)}%`);
  }
  write("pairs", number.format(pace.pairs));
  write("groups", number.format(pace.groups));
  write("p50", seconds(pace.first_email_p50_seconds));
  write("p99", seconds(pace.first_email_p99_seconds));
  write("sign-ups", number.format(pace.sign_ups_per_second));
  write("emails-rate", number.format(pace.emails_per_second));
  write("emails", number.format(funnel.emails));
  write("duplicated", funnel.duplicated ? number.format(funnel.duplicated) : "nothing");
  document.getElementById("duplicated").className = funnel.duplicated ? "bad" : "good";
}

export function showLatest({ state, members, word, place, slot }) {
  if (state !== "introduced") return;
  const latest = document.getElementById("latest");
  const [day, part] = slot.split("-");
  latest.replaceChildren(
    `${HOW_MANY[members.length] ?? members.length} people `,
    ...(word ? ["who share ", emphasised(word)] : ["who live near each other"]),
    ` have each other's names now. They could meet around ${place} on ${DAYS[day]} ${part}.`,
  );
}

function showLead({ signed_up: all, introduced }) {
  if (!introduced) return;
  const lead = document.getElementById("lead");
  const bold = document.createElement("b");
  bold.textContent = `${number.format(introduced)} of ${number.format(all)} people`;
  lead.replaceChildren(bold, " who signed up on their own have now been introduced to somebody who wants to know them.");
}

function emphasised(text) {
  const em = document.createElement("em");
  em.textContent = text;
  return em;
}

function seconds(value) {
  return value === null ? "–" : `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
}

function write(id, text) {
  const place = document.getElementById(id);
  if (place.textContent !== text) place.textContent = text;
}
