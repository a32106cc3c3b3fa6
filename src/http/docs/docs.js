// Shows openapi.json as a page. What the document says becomes text nodes, never markup.

const DOCUMENT = "openapi.json";
const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

let api = {};

// ---- Building nodes

function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function link(target, text) {
  const node = el("a", "", text);
  node.href = `#${encodeURIComponent(target)}`;
  return node;
}

/** A fold whose content is made when it is first opened. */
function fold(className, summary, fill, open = false) {
  const node = el("details", className, el("summary", "", ...summary));
  const once = () => {
    if (!node.open || node.dataset.filled) return;
    node.dataset.filled = "yes";
    node.append(...fill());
  };
  node.addEventListener("toggle", once);
  node.open = open;
  once();
  return node;
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const list = (value) => (Array.isArray(value) ? value : []);
const entries = (value) => (isObject(value) ? Object.entries(value) : []);
const compact = (value) => JSON.stringify(value);

/** A path that may be broken after each slash. */
function pathText(path) {
  const node = el("code", "path");
  for (const part of path.split(/(?<=\/)/)) node.append(part, el("wbr"));
  return node;
}

// ---- Prose: the little Markdown that descriptions have

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (/^`.+`$/s.test(part)) return el("code", "", part.slice(1, -1));
    if (/^\*\*.+\*\*$/s.test(part)) return el("strong", "", part.slice(2, -2));
    return part;
  });
}

function prose(text) {
  if (typeof text !== "string" || !text.trim()) return null;
  const node = el("div", "prose");
  // Code between fences stands at the odd places.
  text.split(/^```.*$/m).forEach((block, place) => {
    if (place % 2) {
      node.append(el("pre", "", block.replace(/^\n|\n$/g, "")));
      return;
    }
    for (const paragraph of block.split(/\n\s*\n/)) {
      const [lead, ...items] = paragraph.split(/^\s*[-*] /m);
      if (lead.trim()) node.append(el("p", "", ...inline(lead.trim().replace(/^#+ /, ""))));
      const points = items.map((item) => el("li", "", ...inline(item.trim())));
      if (points.length) node.append(el("ul", "", ...points));
    }
  });
  return node;
}

// ---- References

/** What a reference such as `#/components/schemas/Role` names; undefined if nothing. */
function lookUp(reference) {
  if (!reference.startsWith("#/")) return undefined;
  let found = api;
  for (const part of reference.slice(2).split("/")) {
    const key = decode(part).replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return undefined;
    found = found[key];
  }
  return found;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A parameter, response or the like, with its reference followed. */
function follow(value) {
  for (let steps = 0; steps < 20 && isObject(value) && typeof value.$ref === "string"; steps++) {
    const { $ref, ...beside } = value;
    const found = lookUp($ref);
    value = isObject(found) ? { ...found, ...beside } : { description: `${$ref} is not in the document` };
  }
  return isObject(value) ? value : {};
}

/**
 * A schema with its references followed. `trail` holds the references that led here: one that is
 * met again is a cycle and is not followed.
 */
function unfold(schema, trail) {
  const seen = { schema, trail, name: "", reference: "", cyclic: false, missing: false, nullable: false };
  while (isObject(seen.schema)) {
    const { $ref, ...beside } = seen.schema;
    if (typeof $ref === "string") {
      seen.name ||= decode($ref.slice($ref.lastIndexOf("/") + 1));
      seen.reference ||= $ref;
      const found = lookUp($ref);
      seen.cyclic = seen.trail.includes($ref);
      seen.missing = found === undefined;
      seen.trail = [...seen.trail, $ref];
      if (seen.cyclic || seen.missing) {
        seen.schema = { description: beside.description };
        break;
      }
      seen.schema = isObject(found) ? { ...found, ...beside } : found;
      continue;
    }
    const choice = ["oneOf", "anyOf", "allOf"].find((key) => onlyOne(seen.schema, key));
    if (!choice) break;
    const { [choice]: members, ...others } = seen.schema;
    const [only] = members.filter((member) => !isNull(member));
    seen.nullable ||= choice !== "allOf" && members.some(isNull);
    seen.schema = isObject(only) ? { ...only, ...others } : only;
  }
  return seen;
}

const isNull = (schema) => isObject(schema) && schema.type === "null";

/** Whether a list of choices comes to one schema, or one schema and null. */
function onlyOne(schema, key) {
  const members = list(schema[key]);
  if (key === "allOf") return members.length === 1 && !isObject(schema.properties);
  return members.filter((member) => !isNull(member)).length === 1;
}

// ---- Schemas

/** What kind of value a schema describes, in words. */
function kind(seen) {
  const { schema, trail } = seen;
  if (seen.missing) return ["not in the document"];
  if (seen.cyclic) return [seen.nullable ? "as above, or null" : "as above"];
  if (schema === false) return ["nothing"];
  if (!isObject(schema)) return ["any value"];
  const types = [].concat(schema.type ?? implied(schema));
  const nullable = seen.nullable || schema.nullable === true || types.includes("null");
  const words = [];
  for (const type of types.filter((type) => type !== "null" || types.length === 1)) {
    if (words.length) words.push(" or ");
    if (type === "array" && schema.items !== undefined) {
      words.push("array of ", ...label(unfold(schema.items, trail)));
    } else if (type === "object" && isMap(schema)) {
      words.push("map of ", ...label(unfold(schema.additionalProperties, trail)));
    } else {
      words.push(String(type));
    }
  }
  if (typeof schema.format === "string") words.push(` (${schema.format})`);
  if (nullable && types.join() !== "null") words.push(" or null");
  return words;
}

function implied(schema) {
  if (schema.properties || schema.additionalProperties) return "object";
  if (schema.items || schema.prefixItems) return "array";
  if (schema.oneOf) return "one of several";
  if (schema.anyOf) return "any of several";
  if (schema.allOf) return "all of several";
  const values = "const" in schema ? [schema.const] : list(schema.enum);
  const types = values.map((value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value));
  return types.length ? [...new Set(types)] : "any value";
}

const isMap = (schema) => isObject(schema.additionalProperties) && !entries(schema.properties).length;

/** The name of a schema, if it has one, and its kind where the name's fold does not show it. */
function label(seen) {
  const words = kind(seen);
  if (!seen.name) return words;
  if (["object", "one of several", "any of several", "all of several"].includes(words[0])) words.shift();
  else words.unshift(": ");
  const at = `schema-${seen.name}`;
  const name = el("code", "", seen.cyclic && document.getElementById(at) ? link(at, seen.name) : seen.name);
  return [name, ...words];
}

/** Bounds of a value, in words. */
function bounds(schema) {
  const found = [];
  const range = (low, high, unit) => {
    const [least, most] = [schema[low], schema[high]];
    if (least === undefined && most === undefined) return;
    const units = !unit ? "" : (most ?? least) === 1 ? ` ${unit}` : ` ${unit}s`;
    if (most === undefined) found.push(`at least ${least}${units}`);
    else if (least === undefined) found.push(`at most ${most}${units}`);
    else found.push(least === most ? `exactly ${least}${units}` : `${least} to ${most}${units}`);
  };
  range("minimum", "maximum", "");
  range("minLength", "maxLength", "character");
  range("minItems", "maxItems", "item");
  range("minProperties", "maxProperties", "key");
  if (typeof schema.exclusiveMinimum === "number") found.push(`more than ${schema.exclusiveMinimum}`);
  if (typeof schema.exclusiveMaximum === "number") found.push(`less than ${schema.exclusiveMaximum}`);
  if (schema.multipleOf !== undefined) found.push(`a multiple of ${schema.multipleOf}`);
  if (schema.uniqueItems) found.push("no two alike");
  if (schema.additionalProperties === false) found.push("no other keys");
  if (schema.contentEncoding) found.push(`encoded as ${schema.contentEncoding}`);
  if (schema.contentMediaType) found.push(`of type ${schema.contentMediaType}`);
  if (schema.readOnly) found.push("read only");
  if (schema.writeOnly) found.push("write only");
  if (schema.deprecated) found.push("deprecated");
  return found;
}

/** What may stand in a value, as lines of text. */
function facts(schema) {
  if (!isObject(schema)) return [];
  const lines = [];
  const coded = (lead, values) => {
    const codes = values.flatMap((value, at) => [at ? ", " : " ", el("code", "", compact(value))]);
    lines.push(el("p", "fact", lead, ...codes));
  };
  const limits = bounds(schema);
  if (limits.length) lines.push(el("p", "fact", limits.join("; ")));
  if (schema.pattern) lines.push(el("p", "fact", "pattern ", el("code", "", schema.pattern)));
  if ("const" in schema) coded("always", [schema.const]);
  if (list(schema.enum).length) coded("one of", schema.enum);
  if (schema.default !== undefined) coded("default", [schema.default]);
  return lines;
}

/** The examples that a schema bears itself. */
function ownExamples(schema) {
  if (!isObject(schema)) return [];
  return schema.example === undefined ? list(schema.examples) : [schema.example];
}

/** One line, with a value's parts folded below it. */
function entry(lead, schema, trail, required = false) {
  const seen = unfold(schema, trail);
  const line = [lead, required ? el("em", "required", "required") : null, el("span", "type", ...label(seen))];
  const about = [prose(isObject(seen.schema) ? seen.schema.description : ""), ...facts(seen.schema)];
  const examples = ownExamples(seen.schema).map(compact).filter((text) => text.length <= 120);
  if (examples.length && !hasParts(seen)) {
    about.push(el("p", "fact", "for example ", el("code", "", examples[0])));
  }
  if (!hasParts(seen)) return el("li", "", el("div", "line", ...line), ...about);
  // What stands in place is shown; what is referred to opens on demand, one step at a time.
  const open = !seen.name && trail.length < 2;
  return el("li", "", fold("", line, () => [...about.filter(Boolean), ...partsOf(seen)], open));
}

const key = (name) => el("code", "key", name);
const word = (text) => el("span", "word", text);

function hasParts(seen) {
  const { schema, trail, cyclic } = seen;
  if (cyclic || !isObject(schema)) return false;
  if (entries(schema.properties).length || entries(schema.patternProperties).length) return true;
  if (["oneOf", "anyOf", "allOf", "prefixItems"].some((part) => list(schema[part]).length)) return true;
  if (schema.not !== undefined) return true;
  return [schema.items, schema.additionalProperties].some((part) => {
    if (!isObject(part)) return false;
    const inner = unfold(part, trail);
    return hasParts(inner) || (!inner.cyclic && facts(inner.schema).length > 0);
  });
}

/** The parts of a value: keys, items, choices. */
function partsOf(seen) {
  const { schema, trail } = seen;
  const nodes = [];
  const required = list(schema.required);
  const keys = [
    ...entries(schema.properties).map(([name, part]) => entry(key(name), part, trail, required.includes(name))),
    ...entries(schema.patternProperties).map(([name, part]) => entry(key(`/${name}/`), part, trail)),
  ];
  if (isObject(schema.additionalProperties)) {
    const lead = keys.length ? "any other key" : "each value";
    keys.push(entry(word(lead), schema.additionalProperties, trail));
  }
  list(schema.prefixItems).forEach((part, at) => keys.push(entry(word(`item ${at + 1}`), part, trail)));
  if (schema.not !== undefined) keys.push(entry(word("but not"), schema.not, trail));
  if (keys.length) nodes.push(el("ul", "parts", ...keys));
  for (const [choice, lead] of [["oneOf", "one of"], ["anyOf", "any of"], ["allOf", "all of"]]) {
    const members = list(schema[choice]);
    if (!members.length) continue;
    const items = members.map((part, at) => entry(word(titleOf(part, at)), part, trail));
    nodes.push(el("p", "choice", lead), el("ul", "parts", ...items));
  }
  if (isObject(schema.items)) {
    const inner = unfold(schema.items, trail);
    // Where the line above has said what an item is, its parts need no line of their own.
    if (hasParts(inner) && !facts(inner.schema).length) nodes.push(...partsOf(inner));
    else nodes.push(el("ul", "parts", entry(word("each item"), schema.items, trail)));
  }
  return nodes;
}

/** What tells one choice from the others: its title, or a key that has a constant. */
function titleOf(part, at) {
  const { schema } = unfold(part, []);
  if (isObject(schema) && schema.title) return schema.title;
  const constant = ([, value]) => isObject(value) && ("const" in value || list(value.enum).length === 1);
  const found = entries(isObject(schema) ? schema.properties : null).find(constant);
  return found ? `${found[0]} = ${compact(found[1].const ?? found[1].enum[0])}` : `${at + 1}.`;
}

/** A schema by itself. */
function tree(schema, trail = []) {
  const seen = unfold(schema, trail);
  const about = isObject(seen.schema) ? prose(seen.schema.description) : null;
  const parts = hasParts(seen) ? partsOf(seen) : [];
  return el("div", "schema", el("div", "line", el("span", "type", ...label(seen))), about, ...facts(seen.schema), ...parts);
}

// ---- Operations

function example(value, title) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return el("figure", "", el("figcaption", "", title), scrollable(el("pre", "", text)));
}

/** Wide text that the keyboard can scroll. */
function scrollable(node) {
  node.tabIndex = 0;
  return node;
}

function examplesOf(holder, schema) {
  const several = entries(holder.examples).map(([name, value]) => [follow(value), name]);
  if (several.length) {
    return several.map(([value, name]) => example(value.value, `Example: ${value.summary ?? name}`));
  }
  if (holder.example !== undefined) return [example(holder.example, "Example")];
  return ownExamples(unfold(schema, []).schema).map((value) => example(value, "Example"));
}

function content(media) {
  return entries(media).flatMap(([type, value]) => [
    el("p", "media", el("code", "", type)),
    value.schema === undefined ? null : tree(value.schema),
    ...examplesOf(value, value.schema),
  ]);
}

/** Parameters and headers: named values with a schema. */
function named(name, place, value) {
  const item = entry(key(name), value.schema ?? Object.values(value.content ?? {})[0]?.schema ?? {}, [], value.required);
  const about = prose(value.description);
  item.firstElementChild.after(
    ...[place ? el("p", "fact", `in the ${place}`, value.deprecated ? "; deprecated" : "") : null, about].filter(Boolean),
  );
  if (value.example !== undefined) item.append(el("p", "fact", "for example ", el("code", "", compact(value.example))));
  for (const [, one] of entries(value.examples)) {
    item.append(el("p", "fact", "for example ", el("code", "", compact(follow(one).value))));
  }
  return item;
}

/** What a caller needs for an operation, in words. */
function permission(operation) {
  const own = operation["x-permission"];
  if (own !== undefined && own !== null) return [].concat(own).map((one) => (isObject(one) ? compact(one) : String(one))).join(", ");
  const ways = operation.security ?? api.security;
  if (!Array.isArray(ways) || !ways.length) return "none: no key is needed";
  const names = ways.map((way) => {
    const parts = entries(way).map(([name, scopes]) => (list(scopes).length ? `${name} (${scopes.join(", ")})` : name));
    return parts.length ? parts.join(" with ") : "no key";
  });
  return `a key: ${names.join(", or ")}`;
}

function parametersOf(operation, item) {
  const found = new Map();
  for (const value of [...list(item.parameters), ...list(operation.parameters)].map(follow)) {
    found.set(`${value.in} ${value.name}`, value);
  }
  return [...found.values()];
}

function operationBody({ id, operation, item }) {
  const nodes = [
    prose(operation.description),
    el("dl", "about",
      el("dt", "", "Operation"), el("dd", "", link(id, id)),
      el("dt", "", "Permission"), el("dd", "", el("span", "permission", permission(operation)))),
  ];
  const parameters = parametersOf(operation, item);
  if (parameters.length) {
    const lines = parameters.map((value) => named(value.name, value.in, value));
    nodes.push(el("h3", "", "Parameters"), el("ul", "parts", ...lines));
  }
  if (operation.requestBody) {
    const body = follow(operation.requestBody);
    const needed = body.required ? el("em", "required", "required") : null;
    nodes.push(el("h3", "", "Request body ", needed), prose(body.description), ...content(body.content));
  }
  nodes.push(el("h3", "", "Responses"));
  for (const [status, reference] of entries(operation.responses)) {
    const response = follow(reference);
    const [brief, ...rest] = String(response.description ?? "").split(/\n\s*\n/);
    const lead = [el("code", `status status-${status[0]}`, status), el("span", "", ...inline(brief))];
    const fill = () => {
      const headers = entries(response.headers).map(([name, value]) => named(name, "", follow(value)));
      return [
        prose(rest.join("\n\n")),
        ...(headers.length ? [el("p", "media", "Headers"), el("ul", "parts", ...headers)] : []),
        ...content(response.content),
      ].filter(Boolean);
    };
    const empty = !entries(response.content).length && !entries(response.headers).length && !rest.length;
    nodes.push(empty ? el("div", "response line", ...lead) : fold("response", lead, fill, status.startsWith("2")));
  }
  return nodes.filter(Boolean);
}

function operationView(found) {
  const { id, method, path, operation } = found;
  const lead = [
    el("span", `method method-${method}`, method.toUpperCase()),
    pathText(path),
    el("span", "brief", ...inline(operation.summary ?? ""), operation.deprecated ? el("em", "", " deprecated") : null),
  ];
  const node = fold("operation", lead, () => [el("div", "body", ...operationBody(found).filter(Boolean))]);
  node.id = id;
  return node;
}

/** All operations, under the first tag of each, in the order of the document's tags. */
function byTag() {
  const tags = new Map(list(api.tags).map((tag) => [tag.name, { about: tag.description, found: [] }]));
  for (const [path, reference] of entries(api.paths)) {
    const item = follow(reference);
    for (const method of METHODS.filter((method) => isObject(item[method]))) {
      const operation = item[method];
      const tag = list(operation.tags)[0] ?? "other";
      if (!tags.has(tag)) tags.set(tag, { about: "", found: [] });
      const id = operation.operationId ?? `${method}-${path}`;
      tags.get(tag).found.push({ id, method, path, operation, item, tag });
    }
  }
  return [...tags].filter(([, { found }]) => found.length);
}

// ---- The page

const rows = [];

/** Remembers what a row can be found by. */
function findable(node, ...words) {
  rows.push({ node, text: words.filter((word) => typeof word === "string").join(" ").toLowerCase() });
  return node;
}

function section(id, title, about, children) {
  const heading = el("h2", "", title);
  const node = el("section", "", heading, prose(about), ...children);
  node.id = id;
  return node;
}

function show() {
  const at = (id) => document.getElementById(id);
  const { title, version, description } = isObject(api.info) ? api.info : {};
  if (title) document.title = at("page-title").textContent = title;
  at("page-info").append(...[version ? el("p", "", `Version ${version}`) : null, prose(description)].filter(Boolean));
  const sections = byTag().map(([tag, { about, found }]) =>
    section(`tag-${tag}`, tag, about, found.map((one) => findable(operationView(one), one.method, one.path,
      one.id, tag, one.operation.summary, one.operation.description, permission(one.operation)))));
  const keys = entries(api.components?.securitySchemes).map(([name, scheme]) => {
    const { type, scheme: kind, name: field, in: place, description } = follow(scheme);
    const how = [type, kind, field && `${field} in the ${place}`].filter(Boolean).join(", ");
    return el("li", "", el("div", "line", key(name), word(how)), prose(description));
  });
  if (keys.length) sections.unshift(section("page-keys", "Authentication", "", [el("ul", "parts", ...keys)]));
  const schemas = entries(api.components?.schemas).map(([name, schema]) => {
    const node = fold("operation", [el("code", "path", name)], () =>
      [el("div", "body", tree({ $ref: `#/components/schemas/${pointer(name)}` }))]);
    node.id = `schema-${name}`;
    return findable(node, name, schema?.description);
  });
  if (schemas.length) sections.push(section("page-schemas", "Schemas", "", schemas));
  const contents = el("nav", "", el("ul", "", ...sections.map((one) =>
    el("li", "", link(one.id, one.firstElementChild.textContent)))));
  contents.setAttribute("aria-label", "Contents");
  at("page-main").replaceChildren(contents, ...sections);
  at("page-search").hidden = false;
  at("page-filter").addEventListener("input", filter);
  window.addEventListener("hashchange", openTarget);
  // The same link once more changes no hash, and should open its target all the same.
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("a[href^='#']")) setTimeout(openTarget);
  });
  filter();
  openTarget();
}

const pointer = (name) => encodeURIComponent(name.replaceAll("~", "~0").replaceAll("/", "~1"));

/** Hides each row that lacks a word of the filter. */
function filter() {
  const words = document.getElementById("page-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { node, text } of rows) node.hidden = !words.every((word) => text.includes(word));
  const shown = rows.filter(({ node }) => !node.hidden).length;
  for (const one of document.querySelectorAll("main > section")) {
    const own = rows.filter(({ node }) => one.contains(node));
    one.hidden = words.length > 0 && own.every(({ node }) => node.hidden);
  }
  document.getElementById("page-count").textContent = words.length ? `${shown} of ${rows.length} shown` : "";
}

/** Opens what the address points at. */
function openTarget() {
  const target = document.getElementById(decode(location.hash.slice(1)));
  if (!target) return;
  if (target.closest("[hidden]")) {
    document.getElementById("page-filter").value = "";
    filter();
  }
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    // Filled now, for the browser's own event comes only after the scrolling.
    target.dispatchEvent(new Event("toggle"));
  }
  target.scrollIntoView();
}

function fail(reason) {
  const text = `The API cannot be shown: ${reason}. Reload the page to try again.`;
  const notice = el("p", "notice", text);
  notice.setAttribute("role", "alert");
  document.getElementById("page-main").replaceChildren(notice);
}

async function start() {
  let answer;
  try {
    answer = await fetch(DOCUMENT);
  } catch {
    return fail(`${DOCUMENT} could not be loaded, the server does not answer`);
  }
  if (!answer.ok) return fail(`${DOCUMENT} could not be loaded, the server answered ${answer.status}`);
  try {
    api = await answer.json();
  } catch {
    return fail(`${DOCUMENT} is not JSON`);
  }
  if (!isObject(api) || !isObject(api.paths)) return fail(`${DOCUMENT} is not an OpenAPI document`);
  try {
    show();
  } catch (error) {
    console.error(error);
    fail(`${DOCUMENT} holds something that this page cannot read`);
  }
}

document.getElementById("page-main").append(el("p", "", "Loading…"));
start();
