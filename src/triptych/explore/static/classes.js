// @ts-check
// The class that models with classes are asked for: one choice for all models whose classes have the same names.
"use strict";

/**
 * For each model the place of the first one with the same classes.
 * @param {any[]} models
 * @returns {number[]}
 */
function classGroups(models) {
  const names = models.map((model) => JSON.stringify(model.classes));
  return names.map((own) => names.indexOf(own));
}

/**
 * Labels of n rows: one class for all, or one for each. Error for classes that the model does not have.
 * @param {any} model
 * @param {number | ArrayLike<number>} y
 * @param {number} n
 * @returns {BigInt64Array | null} null of a model without classes
 */
function labelsOf(model, y, n) {
  const count = model.classes.length;
  if (!count) return null;
  const labels = typeof y === "number" ? Array(n).fill(y) : Array.from(y);
  if (labels.length !== n) throw new Error(`${labels.length} classes were given for ${n} codes`);
  const wrong = labels.find((label) => !Number.isInteger(label) || label < 0 || label >= count);
  if (wrong !== undefined) throw new Error(`${model.name} has no class ${wrong}; it has 0 to ${count - 1}`);
  return BigInt64Array.from(labels, BigInt);
}

/**
 * A choice for each group of models with the same classes.
 * @param {Page} page
 */
function classControls(page) {
  const able = page.cards.filter((/** @type {Card} */ card) => card.model.classes.length);
  const groups = [...new Set(able.map((/** @type {Card} */ card) => card.group))];
  return groups.map((group) => {
    const cards = able.filter((/** @type {Card} */ card) => card.group === group);
    const names = cards.map((/** @type {Card} */ card) => card.model.name).join(", ");
    const options = cards[0].model.classes.map((/** @type {string} */ name, /** @type {number} */ i) =>
      make("option", { value: String(i), textContent: name }),
    );
    const select = make("select", { id: `class-${group}` }, options);
    select.onchange = () => page.pickClass(group, Number(select.value));
    page.syncs.push(() => (select.value = String(cards[0].label)));
    const text = cards.length === page.cards.length ? "class" : `class of ${names}`;
    return make("p", { className: "row" }, [make("label", { htmlFor: select.id, textContent: text }), select]);
  });
}
