// Keeps the page current. Text from outside is inserted only through textContent.
"use strict";
(() => {
	const limit = 100; // the same as on the server
	const byId = (id) => document.getElementById(id);
	const quiet = 10000; // ms between announcements
	const badges = { decrypted: "decrypted", encrypted: "ciphertext", bad: "bad message" };
	const active = "The key vault has released the private key to this pod. It is held only in memory.";
	const kept = "The sidecar decrypts for this program. The private key stays in the sidecar.";
	const pause = byId("pause");
	const live = byId("live");
	let revision = document.body.dataset.revision;
	let announced = 0;
	let source;

	function showStatus(status) {
		byId("status").className = "status " + (status.active ? "active" : "inactive");
		byId("status-title").textContent = status.active ? "Decryption is active" : "Decryption is not active";
		byId("reason").textContent = status.active ? (status.kept ? kept : active) : status.reason;
		byId("key").textContent = status.key;
		byId("released").hidden = !status.key;
		byId("version").textContent = status.version;
		byId("versioned").hidden = !status.version;
		byId("code").textContent = status.code;
		byId("refusal").hidden = !status.code;
		byId("request-id").textContent = status.request_id;
		byId("request").hidden = !status.request_id;
		byId("broker-problem").textContent = status.broker;
		byId("broker").hidden = !status.broker;
	}

	function fill(item, entry) {
		item.id = entry.id;
		item.className = "entry " + entry.state;
		item.dataset.number = entry.number;
		item.querySelector(".text").textContent = entry.text;
		item.querySelector(".problem").hidden = !entry.problem;
		item.querySelector(".problem span").textContent = entry.problem || "";
		item.querySelector(".sealed").hidden = !entry.ciphertext;
		item.querySelector(".cipher").textContent = entry.ciphertext || "";
		item.querySelector(".key").textContent = entry.key || "";
		item.querySelector(".version").textContent = entry.version || "";
		item.querySelector(".versioned").hidden = !entry.version;
		item.querySelector(".badge").textContent = badges[entry.state];
		item.querySelector(".place").textContent = `partition ${entry.partition}, offset ${entry.offset}`;
		const time = item.querySelector("time");
		time.dateTime = entry.time;
		time.textContent = entry.time.slice(11, 19) + " UTC";
	}

	function showEntry(entry) {
		const list = byId("entries");
		const known = byId(entry.id);
		const item = known || byId("entry").content.firstElementChild.cloneNode(true);
		fill(item, entry);
		if (!known) {
			item.classList.add("new");
			list.prepend(item);
			announce(entry);
		}
		while (list.children.length > limit) list.lastElementChild.remove();
		byId("empty").hidden = true;
	}

	// Announces a message at most every ten seconds: more would overwhelm a screen reader.
	function announce(entry) {
		if (Date.now() - announced < quiet) return;
		announced = Date.now();
		byId("announcer").textContent = entry.state === "decrypted" ? entry.text : "A message arrived: " + badges[entry.state];
	}

	function say(text, state) {
		if (live.textContent !== text) live.textContent = text;
		live.className = "live " + state;
	}

	function connect() {
		source = new EventSource("events?since=" + revision);
		const on = (name, show) => source.addEventListener(name, (event) => {
			if (event.lastEventId) revision = event.lastEventId;
			show(JSON.parse(event.data));
		});
		on("status", showStatus);
		on("entry", showEntry);
		source.onopen = () => say("Live", "on");
		source.onerror = () => say("Connection lost; reconnecting", "off");
	}

	pause.hidden = false;
	pause.addEventListener("click", () => {
		const paused = pause.getAttribute("aria-pressed") !== "true";
		pause.setAttribute("aria-pressed", String(paused));
		if (paused) {
			source.close();
			say("Paused", "off");
		} else {
			connect();
		}
	});
	connect();
})();
