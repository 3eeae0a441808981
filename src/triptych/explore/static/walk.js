// @ts-check
// The walk between two pinned codes: its buttons and its slider.
"use strict";

/** @param {Page} page */
function walkControls(page) {
  const pin = (/** @type {"a" | "b"} */ end) => {
    const button = make("button", { type: "button" });
    button.onclick = () => {
      page.state[end] = copied(page.state.place);
      page.say(`pinned as ${end.toUpperCase()}`);
      page.sync();
      for (const card of page.cards) card.refreshPath(page.state);
    };
    page.syncs.push(() => (button.textContent = `${page.state[end] ? "Pin again" : "Pin"} as ${end.toUpperCase()}`));
    return button;
  };
  const along = slider("from A to B", [0, 1, 0.01], (value) => page.walkTo(value));
  const play = make("button", { type: "button" });
  play.onclick = () => (page.still.matches ? page.step() : page.playing ? page.stop() : page.play());
  page.syncs.push(() => {
    const ready = Boolean(page.state.a && page.state.b);
    along.range.disabled = play.disabled = !ready;
    along.set(page.state.at ?? 0);
    play.textContent = page.still.matches ? "Step" : page.playing ? "Stop" : "Play";
  });
  const row = make("p", { className: "row" }, [pin("a"), pin("b"), play]);
  return make("fieldset", {}, [make("legend", { textContent: "Walk" }), row, along.element]);
}
