// The inbox: a list that grows from the top, and one email as it looks on a phone.

const SHOWN_MAX = 80;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export class Inbox {
  constructor(section) {
    this.list = section.querySelector("#messages");
    this.none = section.querySelector("#no-messages");
    this.frame = section.querySelector("#email");
    this.reading = section.querySelector("#reading");
    this.filters = [...section.querySelectorAll(".filters button")];
    this.kind = "";
    this.chosen = false; // By the reader; until then the first introduction opens by itself.
    this.open = null;
    this.clear();
    this.frame.addEventListener("load", () => {
      this.frame.dataset.shows = this.open?.id ?? "";
    });
    for (const button of this.filters) button.addEventListener("click", () => this.#filter(button.dataset.kind));
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("button");
      if (!row) return;
      this.chosen = true;
      this.#show(row.email);
      if (matchMedia("(max-width: 699px)").matches) this.reading.scrollIntoView({ behavior: "smooth", block: "start" });
    });
  }

  clear() {
    this.emails = [];
    this.list.replaceChildren();
    this.none.hidden = false;
  }

  add(emails) {
    this.emails = [...emails.toReversed(), ...this.emails].slice(0, SHOWN_MAX);
    const rows = emails.filter((email) => this.#wanted(email)).map((email) => this.#row(email));
    this.list.prepend(...rows.toReversed());
    while (this.list.children.length > SHOWN_MAX) this.list.lastElementChild.remove();
    this.none.hidden = this.list.children.length > 0;
    if (this.chosen) return;
    const best = this.emails.findLast((email) => email.kind === "introduction") ?? this.emails.at(-1);
    if (best && (!this.open || (this.open.kind !== "introduction" && best.kind === "introduction"))) this.#show(best);
  }

  #wanted(email) {
    return !this.kind || email.kind === this.kind;
  }

  #filter(kind) {
    this.kind = kind;
    this.frame.addEventListener("load", () => {
      this.frame.dataset.shows = this.open?.id ?? "";
    });
    for (const button of this.filters) button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
    this.list.replaceChildren(...this.emails.filter((email) => this.#wanted(email)).map((email) => this.#row(email)));
    this.none.hidden = this.list.children.length > 0;
  }

  #row(email) {
    const item = document.createElement("li");
    const row = item.appendChild(document.createElement("button"));
    row.type = "button";
    row.email = email;
    row.className = email.kind;
    row.setAttribute("aria-current", String(this.open?.id === email.id));
    row.append(
      made("span", "who", email.to.slice(0, 1)),
      made("span", "subject", email.subject),
      made("span", "to", `to ${email.to}`),
      made("time", "", clock.format(email.at)),
    );
    row.querySelector(".who").ariaHidden = "true";
    return item;
  }

  #show(email) {
    this.open = email;
    this.reading.textContent = `To ${email.to}`;
    this.frame.hidden = false;
    this.frame.src = `/email/${email.id}.html`;
    for (const row of this.list.querySelectorAll("button")) {
      row.setAttribute("aria-current", String(row.email.id === email.id));
    }
  }
}

function made(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}
