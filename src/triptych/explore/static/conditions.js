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
 * The places of the numbers that are one column of categories, for the first of them; none for another number.
 * @param {any[]} given
 * @param {number} i
 * @returns {number[]}
 */
function categoriesAt(given, i) {
  const own = (/** @type {any} */ number) => number.category !== undefined && number.column === given[i].column;
  const places = [...given.keys()].filter((j) => own(given[j]));
  return places[0] === i ? places : [];
}

/**
 * Units of so many seconds since 1970 as a date, and a time where the unit is smaller than a day.
 * @param {number} value
 * @param {number} seconds
 */
function dateText(value, seconds) {
  const text = new Date(Math.round(value) * seconds * 1000).toISOString();
  return seconds >= 86400 ? text.slice(0, 10) : text.slice(0, seconds >= 60 ? 16 : 19).replace("T", " ");
}

/**
 * What is chosen, as the model can have it: [class], or a value for each number; what is missing is the first class, the
 * commonest category, or the mean in the training data.
 * @param {any} model
 * @param {number[] | undefined} chosen
 * @returns {number[]}
 */
function conditionOf(model, chosen = []) {
  if (model.classes.length) return [Math.round(within(chosen[0], 0, model.classes.length - 1, 0))];
  const start = model.given.map((/** @type {any} */ number) => number.mean);
  for (const i of start.keys()) {
    const places = categoriesAt(model.given, i);
    const most = places.reduce((a, b) => (model.given[b].mean > model.given[a].mean ? b : a), i);
    for (const j of places) start[j] = j === most ? 1 : 0;
  }
  return start.map((/** @type {number} */ value, /** @type {number} */ i) => chosen[i] ?? value);
}

/**
 * The same in words: "class bee", "scale 1.20, slant 0.00"; nothing of a model conditioned on nothing.
 * @param {any} model
 * @param {number[]} chosen
 */
function conditionText(model, chosen) {
  if (model.classes.length) return `class ${model.classes[chosen[0]]}`;
  const said = (/** @type {any} */ number, /** @type {number} */ i) => {
    if (number.seconds) return [`${number.name} ${dateText(chosen[i], number.seconds)}`];
    if (number.category === undefined || !isOne(model.given, i, chosen)) return [`${number.name} ${Number(chosen[i].toPrecision(3))}`];
    return chosen[i] ? [`${number.column} ${number.category}`] : [];
  };
  return model.given.flatMap(said).join(", ");
}

/**
 * Whether of the categories of a number's column exactly one is chosen, and no shares of several.
 * @param {any[]} given
 * @param {number} i
 * @param {number[]} chosen
 */
function isOne(given, i, chosen) {
  const own = chosen.filter((_, j) => given[j].category !== undefined && given[j].column === given[i].column);
  return own.every((value) => value === 0 || value === 1) && own.filter((value) => value === 1).length === 1;
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
  const given = /** @type {any[]} */ (cards[0].model.given);
  const control = (/** @type {any} */ number, /** @type {number} */ i) => {
    if (number.category !== undefined) {
      const places = categoriesAt(given, i);
      return places.length ? categoryControl(page, cards, places) : null;
    }
    const [low, high] = number.range;
    const step = roundStep((high - low) / 100);
    const ends = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)].map((k) => Number((k * step).toPrecision(12)));
    const scale = /** @type {[number, number, number]} */ ([...ends, step]);
    const made = slider(number.name, scale, (value) => {
      page.condition(cards, cards[0].given.map((old, j) => (j === i ? value : old)));
    }, number.seconds && ((value) => dateText(value, number.seconds)));
    page.syncs.push(() => made.set(cards[0].given[i]));
    return made.element;
  };
  const controls = given.map(control).filter((made) => made !== null);
  return make("fieldset", {}, [make("legend", { textContent: whose ? `Given to ${whose}` : "Given" }), ...controls]);
}

/**
 * A menu of the categories of a column, which are the numbers at these places.
 * @param {Page} page @param {Card[]} cards @param {number[]} places
 */
function categoryControl(page, cards, places) {
  const [{ group, model }] = cards;
  const options = places.map((i) => make("option", { value: String(i), textContent: model.given[i].category }));
  const select = make("select", { id: `given-${group}-${places[0]}` }, options);
  select.onchange = () => {
    const chosen = Number(select.value);
    page.condition(cards, cards[0].given.map((old, j) => (places.includes(j) ? Number(j === chosen) : old)));
    page.say(`${conditionText(model, cards[0].given)}: ${cards.map((card) => card.model.name).join(", ")}`);
  };
  page.syncs.push(() => {
    const one = isOne(model.given, places[0], cards[0].given);
    select.value = one ? String(places.find((i) => cards[0].given[i] === 1)) : "";
  });
  return make("p", { className: "row" }, [make("label", { htmlFor: select.id, textContent: model.given[places[0]].column }), select]);
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
