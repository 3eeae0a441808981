// @ts-check
// What models are conditioned on: one of their classes, or numbers. One choice for all models that know the same.
"use strict";

/**
 * For each model the place of the first one that is conditioned on the same.
 * @param {any[]} models
 * @returns {number[]}
 */
function conditionGroups(models) {
  const known = models.map(({ classes, given }) => JSON.stringify([classes, given]));
  return known.map((own) => known.indexOf(own));
}

/** @param {any} model */
function isConditioned(model) {
  return model.classes.length > 0 || model.given.length > 0;
}

/**
 * What is chosen, as the model can have it: [class], or a value for each number; what is missing is the first class, or
 * the mean in the training data.
 * @param {any} model
 * @param {number[] | undefined} chosen
 * @returns {number[]}
 */
function conditionOf(model, chosen = []) {
  if (model.classes.length) return [Math.round(within(chosen[0], 0, model.classes.length - 1, 0))];
  return model.given.map((/** @type {any} */ number, /** @type {number} */ i) => chosen[i] ?? number.mean);
}

/**
 * The same in words: "class bee", "scale 1.20, slant 0.00"; nothing of a model conditioned on nothing.
 * @param {any} model
 * @param {number[]} chosen
 */
function conditionText(model, chosen) {
  if (model.classes.length) return `class ${model.classes[chosen[0]]}`;
  const said = (/** @type {any} */ number, /** @type {number} */ i) => `${number.name} ${Number(chosen[i].toPrecision(3))}`;
  return model.given.map(said).join(", ");
}

/**
 * What n rows are conditioned on, as a graph takes it: one class or row of numbers for all, or one for each.
 * Error for anything else, and for classes that the model does not have.
 * @param {any} model
 * @param {number | ArrayLike<number>} y
 * @param {number} n
 * @returns {Given | null} null of a model conditioned on nothing
 */
function givenTo(model, y, n) {
  if (!isConditioned(model)) return null;
  const width = model.classes.length ? 1 : model.given.length;
  const asked = typeof y === "number" ? [y] : Array.from(y);
  const all = asked.length === width ? Array.from({ length: n }, () => asked).flat() : asked;
  if (all.length !== n * width) {
    const what = model.classes.length ? "classes" : "numbers";
    throw new Error(`${asked.length} ${what} were given for ${n} codes; ${model.name} takes ${width} for each`);
  }
  const count = model.classes.length;
  if (!count) return { kind: "float32", values: Float32Array.from(all), shape: [n, width] };
  const wrong = all.find((label) => !Number.isInteger(label) || label < 0 || label >= count);
  if (wrong !== undefined) throw new Error(`${model.name} has no class ${wrong}; it has 0 to ${count - 1}`);
  return { kind: "int64", values: BigInt64Array.from(all, BigInt), shape: [n] };
}

/**
 * A choice for each group of models that are conditioned on the same.
 * @param {Page} page
 * @returns {HTMLElement[]}
 */
function conditionControls(page) {
  const able = page.cards.filter((/** @type {Card} */ card) => isConditioned(card.model));
  const groups = [...new Set(able.map((/** @type {Card} */ card) => card.group))];
  return groups.map((group) => {
    const cards = able.filter((/** @type {Card} */ card) => card.group === group);
    const names = cards.map((/** @type {Card} */ card) => card.model.name).join(", ");
    const whose = cards.length === page.cards.length ? "" : names;
    return cards[0].model.classes.length ? classControl(page, cards, whose) : numberControls(page, cards, whose);
  });
}

/** @param {Page} page @param {Card[]} cards @param {string} whose */
function classControl(page, cards, whose) {
  const [{ group, model }] = cards;
  const options = model.classes.map((/** @type {string} */ name, /** @type {number} */ i) =>
    make("option", { value: String(i), textContent: name }),
  );
  const select = make("select", { id: `class-${group}` }, options);
  select.onchange = () => {
    page.condition(cards, [Number(select.value)]);
    page.say(`${conditionText(model, cards[0].given)}: ${cards.map((card) => card.model.name).join(", ")}`);
  };
  page.syncs.push(() => (select.value = String(cards[0].given[0])));
  return make("p", { className: "row" }, [make("label", { htmlFor: select.id, textContent: whose ? `class of ${whose}` : "class" }), select]);
}

/** @param {Page} page @param {Card[]} cards @param {string} whose */
function numberControls(page, cards, whose) {
  const sliders = cards[0].model.given.map((/** @type {any} */ number, /** @type {number} */ i) => {
    const [low, high] = number.range;
    const step = roundStep((high - low) / 100);
    const ends = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)].map((k) => Number((k * step).toPrecision(12)));
    const scale = /** @type {[number, number, number]} */ ([...ends, step]);
    const made = slider(number.name, scale, (value) => {
      page.condition(cards, cards[0].given.map((old, j) => (j === i ? value : old)));
    });
    page.syncs.push(() => made.set(cards[0].given[i]));
    return made.element;
  });
  return make("fieldset", {}, [make("legend", { textContent: whose ? `Given to ${whose}` : "Given" }), ...sliders]);
}

/**
 * The largest of 1, 2 and 5 times a power of ten that is no larger.
 * @param {number} step
 */
function roundStep(step) {
  if (!(step > 0)) return 1;
  const ten = 10 ** Math.floor(Math.log10(step));
  return ten * (step >= 5 * ten ? 5 : step >= 2 * ten ? 2 : 1);
}
