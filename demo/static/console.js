// The live page: one stream of events, handed to the parts that show them.

import { Map } from "./map.js";
import { Inbox } from "./inbox.js";
import { showStatus, showLatest } from "./figures.js";

const map = new Map(document.getElementById("map"));
const inbox = new Inbox(document.getElementById("inbox"));

function take(news) {
  for (const member of news.members ?? []) map.addMember(member);
  for (const introduction of news.introductions ?? []) {
    map.setIntroduction(introduction);
    showLatest(introduction);
  }
  if (news.emails) inbox.add(news.emails);
  if (news.status) {
    showStatus(news.status);
    map.describe(news.status.funnel);
  }
}

await map.draw();

const stream = new EventSource("/events");
stream.addEventListener("snapshot", (event) => {
  document.body.classList.remove("ended");
  inbox.clear();
  map.clear();
  map.atOnce(() => take(JSON.parse(event.data)));
});
stream.addEventListener("changes", (event) => take(JSON.parse(event.data)));
stream.addEventListener("error", () => {
  document.body.classList.add("ended");
  document.getElementById("phase").textContent = "The demo has ended";
});
